"""Divides examples into parts for testing, training and validation: stratified, verified, and determined by the seed.

The test part is drawn once; a hold-out or folds divide the rest. Parts that the data give are taken as they are, the
others drawn from the rest. Rows of one group, and rows with exactly the same features, are in one part; with a time,
parts follow it. Repeats keep the split and change the training seed alone, so their spread shows the randomness of
training; that of folds contains the choice of the data, too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from hpo.conventions import NEWEST, REPEATS_TOGETHER, TIED_VALUES_APART
from hpo.data.dataset import PARTS, Dataset
from hpo.data.parts.balance import BalanceRecord, balance_of
from hpo.data.parts.draws import k_fold, shuffle_split
from hpo.data.parts.given import refuse_divided_groups
from hpo.data.parts.in_time import Pair, refuse_disorder, split_in_time
from hpo.data.parts.repeats import NO_REPEATS, Repeats, count_repeats, same_features
from hpo.data.parts.strata import (
    IndexArray,
    Sizes,
    Strata,
    asked,
    cannot_be_everywhere,
    groups_of,
    strata,
    too_few_units,
)
from hpo.data.parts.together import draw_together, units_of
from hpo.data.parts.verify import verify_splits, verify_together, verify_whole
from hpo.errors import DataError
from hpo.seeds import split_seed
from hpo.studyfile.records import DataTable


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Replica:
    """One training run of a trial: the examples to train and to validate on."""

    repeat: int
    """0-based; replicas that differ only here share their examples and differ in the training seed."""
    fold: int
    """0-based; 0 for a hold-out."""
    train_idx: IndexArray
    valid_idx: IndexArray


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Splits:
    """Ascending positions of the examples of each part."""

    test_idx: IndexArray
    """Empty when `data.test` is 0."""
    replicas: tuple[Replica, ...]
    """Repeat by repeat, fold by fold."""
    balance: tuple[BalanceRecord, ...]
    repeats: Repeats = NO_REPEATS
    """Of features, in several rows."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the positions in all parts, by which a study detects that it would be split differently."""
        digest = hashlib.sha256()
        first = [(r.train_idx, r.valid_idx) for r in self.replicas if r.repeat == 0]
        for idx in (self.test_idx, *(idx for pair in first for idx in pair)):
            digest.update(len(idx).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(idx, dtype="<i8").tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draw:
    """What parts are drawn from, and how."""

    dataset: Dataset
    data: DataTable
    seed: int
    conventions: int
    trial: int | None
    """Whose validation part is drawn; None: that of all trials."""
    first_N: IndexArray
    """Of `same_features`."""


def split_data(dataset: Dataset, data: DataTable, seed: int, *, conventions: int = NEWEST) -> Splits:
    """Divide the examples as the study's `[data]` table asks; `seed` is the study's, `conventions` those that it began
    with (`hpo.conventions`).

    Raises `DataError` when a part would be empty, or a class cannot be in every part.
    """
    return _split(dataset, data, seed, conventions, same_features(dataset), None)


def trial_splits(dataset: Dataset, data: DataTable, seed: int, *, conventions: int = NEWEST) -> Callable[[int], Splits]:
    """A function from the number of a trial to a split of its own, a pure function of data, seed and number: searches
    that draw new validation parts for each trial can generalise better (Nagler et al. 2024, Reshuffling Resampling
    Splits Can Improve Generalization of Hyperparameter Optimization).

    The test part is that of `split_data` for every trial, and so are validation parts that the data give or that follow
    the time. Errors as of `split_data`. The function can be pickled.
    """
    return partial(_split, dataset, data, seed, conventions, same_features(dataset))


def _split(
    dataset: Dataset, data: DataTable, seed: int, conventions: int, first_N: IndexArray, trial: int | None
) -> Splits:
    for key, asked_for, found in (("group", data.group, dataset.group_N), ("time", data.time, dataset.time_N)):
        if asked_for is not None and found is None:
            raise DataError(f'data.{key}: {dataset.name} comes without "{asked_for}". Leave data.{key} out.')
    draw = _Draw(dataset=dataset, data=data, seed=seed, conventions=conventions, trial=trial, first_N=first_N)
    if dataset.part_N is None:
        test_idx, pairs, groups = _all_drawn(draw)
    else:
        test_idx, pairs = _partly_given(draw, dataset.part_N)
        groups = groups_of(dataset)
    for train_idx, _ in pairs:
        _refuse_unknown_classes(dataset, data, train_idx)
    replicas = _replicas(pairs, data)
    return Splits(
        test_idx=test_idx,
        replicas=replicas,
        balance=tuple(balance_of(test_idx, replicas[: len(pairs)], groups)),
        repeats=count_repeats(dataset, first_N, pairs, test_idx),
    )


def _all_drawn(draw: _Draw) -> tuple[IndexArray, list[Pair], Strata]:
    """The test part, the pairs of training and validation parts, and the strata."""
    dataset, data = draw.dataset, draw.data
    sizes = _sizes(dataset, data)
    if dataset.time_N is not None:
        test_idx, pairs = split_in_time(dataset, dataset.time_N, data, sizes)
        return test_idx, pairs, groups_of(dataset)
    unit_N = _units(draw)
    groups = strata(dataset, data, sizes, tied_apart=draw.conventions >= TIED_VALUES_APART, unit_N=unit_N)
    if unit_N is None:
        test_idx, pairs = _apart(draw, sizes, groups)
        verify_splits(test_idx, _replicas(pairs, data), groups.group_N, rare=groups.rare)
    else:
        test_idx, pairs = _together(draw, sizes, groups, unit_N)
        verify_whole(test_idx, _replicas(pairs, data), dataset.size)
        verify_together(test_idx, _replicas(pairs, data), unit_N)
    return test_idx, pairs, groups


def _units(draw: _Draw) -> IndexArray | None:
    """The unit of each example where some must stay together."""
    ids = []
    if draw.dataset.group_N is not None:
        ids.append(np.unique(draw.dataset.group_N.astype(str), return_inverse=True)[1])
    if draw.conventions >= REPEATS_TOGETHER:
        ids.append(draw.first_N)
    unit_N = units_of(*ids) if ids else None
    return None if unit_N is None or len(np.unique(unit_N)) == len(unit_N) else unit_N


def _apart(draw: _Draw, sizes: Sizes, groups: Strata) -> tuple[IndexArray, list[Pair]]:
    """Parts of examples each of which may be in any."""
    test_idx, rest_idx = np.arange(0), np.arange(sizes.all)
    if sizes.test:
        rest_idx, test_idx = _drawn(groups, rest_idx, sizes.test, split_seed(draw.seed, "test"), sizes.after_test)
    state = split_seed(draw.seed, "validation", draw.trial)
    if sizes.folds is None:
        return test_idx, [_drawn(groups, rest_idx, sizes.valid, state, 1)]
    fold_R = k_fold(groups.group_N[rest_idx], sizes.folds, state)
    return test_idx, [(rest_idx[fold_R != fold], rest_idx[fold_R == fold]) for fold in range(sizes.folds)]


def _together(draw: _Draw, sizes: Sizes, groups: Strata, unit_N: IndexArray) -> tuple[IndexArray, list[Pair]]:
    """Parts of examples that stay together in units."""
    if (units := len(np.unique(unit_N))) < sizes.parts:
        raise too_few_units(draw.dataset, draw.data, units, sizes)

    def drawn(idx: IndexArray, shares: list[float], least: list[int], seed: int) -> IndexArray:
        part_R, lacking = draw_together(unit_N[idx], groups.group_N[idx], shares, least, seed)
        if len(lacking) and draw.dataset.class_names:
            members = np.unique(unit_N[groups.group_N == lacking[0]])
            raise cannot_be_everywhere(draw.dataset, draw.data, int(lacking[0]), len(members), sizes)
        return part_R

    part_N = np.zeros(sizes.all, np.int64)
    if sizes.test:
        share = sizes.test / sizes.all
        part_N = drawn(np.arange(sizes.all), [1 - share, share], [sizes.after_test, 1], split_seed(draw.seed, "test"))
    rest_idx, test_idx = np.flatnonzero(part_N == 0), np.flatnonzero(part_N == 1)
    state = split_seed(draw.seed, "validation", draw.trial)
    if sizes.folds is None:
        share = sizes.valid / (sizes.all - sizes.test)
        part_R = drawn(rest_idx, [1 - share, share], [1, 1], state)
        return test_idx, [(rest_idx[part_R == 0], rest_idx[part_R == 1])]
    part_R = drawn(rest_idx, [1 / sizes.folds] * sizes.folds, [1] * sizes.folds, state)
    return test_idx, [(rest_idx[part_R != fold], rest_idx[part_R == fold]) for fold in range(sizes.folds)]


def _partly_given(draw: _Draw, part_N: IndexArray) -> tuple[IndexArray, list[Pair]]:
    """The parts that the data give, and the others drawn from the rows to train on, of which the shares count then."""
    dataset, data = draw.dataset, draw.data
    rest_idx, valid_idx, test_idx = (np.flatnonzero(part_N == part) for part in range(len(PARTS)))
    if not len(rest_idx):
        raise DataError(f"data.split: no row of {dataset.name} is of the part train. Mark the rows to train on.")
    if len(valid_idx) and data.folds is not None:
        raise DataError(
            f"data.folds: {dataset.name} gives its own validation part ({len(valid_idx)} rows). Leave data.folds out, "
            "or mark these rows as train."
        )
    share = 0.0 if len(test_idx) or isinstance(data.test, str) else data.test
    pairs = [(rest_idx, valid_idx)]
    if share or not len(valid_idx):
        asked_of_rest = data.model_copy(update={"test": share})
        if len(valid_idx):
            asked_of_rest = data.model_copy(update={"test": 0.0, "validation": share})
        trial = None if len(valid_idx) else draw.trial
        first_R = np.unique(draw.first_N[rest_idx], return_inverse=True)[1]
        found_idx, found, _ = _all_drawn(
            replace(
                draw, dataset=dataset.without_numbers().rows(rest_idx), data=asked_of_rest, trial=trial, first_N=first_R
            )
        )
        pairs = [(rest_idx[train_idx], rest_idx[valid_idx]) for train_idx, valid_idx in found]
        if share and len(valid_idx):
            test_idx = pairs[0][1]
            pairs = [(pairs[0][0], valid_idx)]
        elif share:
            test_idx = rest_idx[found_idx]
    if dataset.time_N is None:
        for train_idx, validated_idx in pairs:
            parts = np.concatenate([test_idx, train_idx, validated_idx])
            assert np.array_equal(np.sort(parts), np.arange(dataset.size)), "each example must be in exactly one part"
    else:
        refuse_disorder(dataset, data, test_idx, pairs)
    refuse_divided_groups(dataset, data, test_idx, pairs)
    return test_idx, pairs


def _refuse_unknown_classes(dataset: Dataset, data: DataTable, train_idx: IndexArray) -> None:
    """Raise `DataError` for a class that is in no row to train on."""
    absent = np.setdiff1d(np.arange(len(dataset.class_names)), dataset.target_N[train_idx])
    if len(absent):
        way = "Mark some of its rows as train, or leave the class out."
        if dataset.time_N is not None:
            way = "It comes too late: leave the class out, or take fewer data.folds or smaller parts."
        raise DataError(
            f'data: class "{dataset.class_names[absent[0]]}" of {dataset.name} is in no row to train on, only in the '
            f"other parts. {way}"
        )


def _replicas(pairs: list[Pair], data: DataTable) -> tuple[Replica, ...]:
    """The trainings on these pairs of training and validation parts, in the order of `Splits`."""
    return tuple(
        Replica(repeat=repeat, fold=fold, train_idx=train_idx, valid_idx=valid_idx)
        for repeat in range(data.repeats)
        for fold, (train_idx, valid_idx) in enumerate(pairs)
    )


def _drawn(groups: Strata, idx: IndexArray, size: int, state: int, leave: int) -> tuple[IndexArray, IndexArray]:
    """Draws `size` of the examples `idx`, each group by its share. Returns the examples that are left and those drawn.
    Of a rare group at least one is drawn, and at least `leave` are left."""
    group_R = groups.group_N[idx]
    if not groups.rare:
        left, drawn = shuffle_split(group_R, size, state)
        return idx[left], idx[drawn]
    order = np.random.default_rng(state).permutation(len(idx))
    rare = int(np.bincount(group_R).argmin())
    members = order[group_R[order] == rare]
    share = min(max(round(len(members) * size / len(idx)), 1), len(members) - leave)
    drawn = np.concatenate([members[:share], order[group_R[order] != rare][: size - share]])
    return np.delete(idx, drawn), np.sort(idx[drawn])


def _sizes(dataset: Dataset, data: DataTable) -> Sizes:
    assert isinstance(data.test, float), "a given test part is not drawn"
    total = dataset.size
    test = round(data.test * total)
    folds = data.folds if data.folds is None or dataset.time_N is None else data.folds + 1  # a part trains all folds
    valid = round(data.validation * total) if folds is None else (total - test) // folds
    shares = asked(data)
    if data.folds is None and data.test + data.validation >= 1:
        raise DataError(f"data: {shares} leave nothing to train on; together they must be less than 1.")
    if (data.test and not test) or not valid or total - test - valid < 1:
        raise DataError(
            f"data: {shares} leave a part of {dataset.name} empty: it has only {total} examples."
            " Add examples or give the parts larger shares."
        )
    return Sizes(all=total, test=test, valid=valid, folds=data.folds)
