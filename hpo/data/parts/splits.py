"""Divides examples into parts for testing, training and validation: stratified, verified, and determined by the seed.

The test part is drawn once; a hold-out or folds divide the rest. Parts that the data give are taken as they are, the
others drawn from the rest. Repeats keep the split and change the training seed alone, so their spread shows the
randomness of training; that of folds contains the choice of the data, too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypedDict

import numpy as np

from hpo.data.dataset import PARTS, Dataset
from hpo.data.parts.draws import k_fold, shuffle_split
from hpo.data.parts.strata import IndexArray, Sizes, Strata, asked, groups_of, strata
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


Role = Literal["all", "test", "train", "validation"]
"""What a part of the examples is for."""


class BalanceRecord(TypedDict):
    """How often one group (class, or range of the target) occurs in one part, as it is stored."""

    part: str
    """Name for people: `all`, `test`, `train`, `validation`; with folds `fold 1 train`, `fold 1 validation`, ..."""
    role: Role
    fold: int | None
    """Fold of cross-validation, 0-based; None for a hold-out, and for parts that all folds share."""
    group: str
    count: int
    share: float
    """Of the part's examples."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Splits:
    """Ascending positions of the examples of each part."""

    test_idx: IndexArray
    """Empty when `data.test` is 0."""
    replicas: tuple[Replica, ...]
    """Repeat by repeat, fold by fold."""
    balance: tuple[BalanceRecord, ...]


def split_data(dataset: Dataset, data: DataTable, seed: int, *, tied_apart: bool = True) -> Splits:
    """Divide the examples as the study's `[data]` table asks; `seed` is the study's, `tied_apart` as in `strata`.

    Raises `DataError` when a part would be empty, or a class has too few members to be in every part.
    """
    if dataset.part_N is None:
        return _all_drawn(dataset, data, seed, tied_apart)
    return _partly_given(dataset, dataset.part_N, data, seed, tied_apart)


def _all_drawn(dataset: Dataset, data: DataTable, seed: int, tied_apart: bool) -> Splits:
    sizes = _sizes(dataset, data)
    groups = strata(dataset, data, sizes, tied_apart=tied_apart)
    test_idx, rest_idx = np.arange(0), np.arange(sizes.all)
    if sizes.test:
        rest_idx, test_idx = _drawn(groups, rest_idx, sizes.test, split_seed(seed, "test"), sizes.after_test)
    state = split_seed(seed, "validation")
    if data.folds is None:
        pairs = [_drawn(groups, rest_idx, sizes.valid, state, 1)]
    else:
        fold_R = k_fold(groups.group_N[rest_idx], data.folds, state)
        pairs = [(rest_idx[fold_R != fold], rest_idx[fold_R == fold]) for fold in range(data.folds)]
    replicas = _replicas(pairs, data)
    verify_splits(test_idx, replicas, groups.group_N, rare=groups.rare)
    return Splits(
        test_idx=test_idx,
        replicas=replicas,
        balance=tuple(_balance(test_idx, replicas[: len(pairs)], groups.group_N, groups.names)),
    )


def _partly_given(dataset: Dataset, part_N: IndexArray, data: DataTable, seed: int, tied_apart: bool) -> Splits:
    """The parts that the data give, and the others drawn from the rows to train on, of which the shares count then."""
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
        drawn = _all_drawn(dataset.rows(rest_idx), asked_of_rest, seed, tied_apart)
        pairs = [(rest_idx[r.train_idx], rest_idx[r.valid_idx]) for r in drawn.replicas if r.repeat == 0]
        if share and len(valid_idx):
            test_idx = pairs[0][1]
            pairs = [(pairs[0][0], valid_idx)]
        elif share:
            test_idx = rest_idx[drawn.test_idx]
    groups = groups_of(dataset)
    for train_idx, validated_idx in pairs:
        parts = np.concatenate([test_idx, train_idx, validated_idx])
        assert np.array_equal(np.sort(parts), np.arange(dataset.size)), "each example must be in exactly one part"
        _refuse_unknown_classes(dataset, train_idx)
    replicas = _replicas(pairs, data)
    return Splits(
        test_idx=test_idx,
        replicas=replicas,
        balance=tuple(_balance(test_idx, replicas[: len(pairs)], groups.group_N, groups.names)),
    )


def _refuse_unknown_classes(dataset: Dataset, train_idx: IndexArray) -> None:
    """Raise `DataError` for a class that is in no row to train on."""
    absent = np.setdiff1d(np.arange(len(dataset.class_names)), dataset.target_N[train_idx])
    if len(absent):
        raise DataError(
            f'data: class "{dataset.class_names[absent[0]]}" of {dataset.name} is in no row to train on, only in the '
            "other parts. Mark some of its rows as train, or leave the class out."
        )


def _replicas(pairs: list[tuple[IndexArray, IndexArray]], data: DataTable) -> tuple[Replica, ...]:
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


def verify_splits(
    test_idx: IndexArray, replicas: tuple[Replica, ...], group_N: IndexArray, *, rare: bool = False
) -> None:
    """Assert the guarantees of a split: each example is in exactly one part, and each group is in every part by its
    share.

    A count may differ from its exact share by less than 1 for each rounding in drawing the part; with a `rare` group by
    more, because it must be in every part.
    """
    _verify_shares("test", test_idx, group_N, math.inf if rare else 1)
    folds = max(replica.fold for replica in replicas) + 1
    for replica in replicas:
        parts = np.concatenate([test_idx, replica.train_idx, replica.valid_idx])
        assert np.array_equal(np.sort(parts), np.arange(len(group_N))), "each example must be in exactly one part"
        roundings = math.inf if rare else 2 if folds == 1 else 3
        _verify_shares("train", replica.train_idx, group_N, roundings)
        _verify_shares("validation", replica.valid_idx, group_N, roundings)
    if folds > 1:
        validated = np.concatenate([replica.valid_idx for replica in replicas if replica.repeat == 0])
        assert len(np.unique(validated)) == len(validated), "folds must not overlap"
        assert len(validated) + len(test_idx) == len(group_N), "each example must be in the test part or a fold"


def _verify_shares(part: str, idx: IndexArray, group_N: IndexArray, roundings: float) -> None:
    if not len(idx):
        assert part == "test", f"the {part} part must not be empty"
        return
    whole = np.bincount(group_N)
    count = np.bincount(group_N[idx], minlength=len(whole))
    assert count.min() > 0, f"every group must be in the {part} part"
    miss = np.abs(count - whole * (len(idx) / len(group_N))).max()
    assert miss < roundings + 1e-6, f"the {part} part misses a group's share by {miss} examples"


def _sizes(dataset: Dataset, data: DataTable) -> Sizes:
    assert isinstance(data.test, float), "a given test part is not drawn"
    total = dataset.size
    test = round(data.test * total)
    valid = round(data.validation * total) if data.folds is None else (total - test) // data.folds
    shares = asked(data)
    if data.folds is None and data.test + data.validation >= 1:
        raise DataError(f"data: {shares} leave nothing to train on; together they must be less than 1.")
    if (data.test and not test) or not valid or total - test - valid < 1:
        raise DataError(
            f"data: {shares} leave a part of {dataset.name} empty: it has only {total} examples."
            " Add examples or give the parts larger shares."
        )
    return Sizes(all=total, test=test, valid=valid, folds=data.folds)


def _balance(
    test_idx: IndexArray, replicas: tuple[Replica, ...], group_N: IndexArray, names: tuple[str, ...]
) -> Iterator[BalanceRecord]:
    parts: list[tuple[Role, int | None, IndexArray]] = [("all", None, np.arange(len(group_N)))]
    if len(test_idx):
        parts.append(("test", None, test_idx))
    for replica in replicas:
        fold = replica.fold if len(replicas) > 1 else None
        parts += [("train", fold, replica.train_idx), ("validation", fold, replica.valid_idx)]
    for role, fold, idx in parts:
        part = role if fold is None else f"fold {fold + 1} {role}"
        counts = np.bincount(group_N[idx], minlength=len(names))
        for name, count in zip(names, counts.tolist(), strict=True):
            yield BalanceRecord(part=part, role=role, fold=fold, group=name, count=count, share=count / len(idx))
