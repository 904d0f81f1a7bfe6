"""Which examples are for testing, training and validation: stratified, verified, the same for one seed.

The test part is drawn once; hold-out or folds divide the rest. Repeats keep the split and change only the
training seed, so their spread shows the luck of training; folds show the luck of the data. No features here.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import Dataset, listed
from hpo.errors import DataError
from hpo.spec.records import DataTable

IndexArray = NDArray[np.int64]

MOST_BINS = 10
"""Regression is stratified over at most this many quantile bins of the target."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Replica:
    """One training of a trial: on which examples, validated on which."""

    repeat: int
    """0-based; replicas that differ only here share their examples and differ in the training seed."""
    fold: int
    """0-based; 0 for a hold-out."""
    train_idx: IndexArray
    valid_idx: IndexArray


class BalanceRow(TypedDict):
    """How often one group (class, or quantile bin of the target) occurs in one part."""

    part: str
    """`all`, `test`, `train`, `validation`; with folds `fold 1 train`, `fold 1 validation`, ..."""
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
    balance: tuple[BalanceRow, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Examples in each part, from the shares the study asks for."""

    all: int
    test: int
    valid: int
    """In the smallest fold, where there are folds."""
    folds: int | None

    @property
    def needed(self) -> int:
        """Members a group must have to be in every part, however the rounding falls.

        A stratified draw of m out of n examples holds at least floor(c * m / n) of a group of c.
        """
        rest = self.all - self.test
        of_rest = self.folds or math.ceil(rest / min(self.valid, rest - self.valid))
        of_all = math.ceil(self.all / self.test) if self.test else 1
        return max(of_all, math.ceil(of_rest * self.all / rest))


def split(dataset: Dataset, data: DataTable, seed: int) -> Splits:
    """Divide the examples as the study's `[data]` table asks; `seed` is the study's.

    Raises `DataError` when a part would be empty, or a class has too few members to be in every part.
    """
    from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

    sizes = _sizes(dataset, data)
    group_N, names = _groups(dataset, data, sizes.needed)
    test_idx, rest_idx = np.arange(0), np.arange(sizes.all)
    if sizes.test:
        splitter = StratifiedShuffleSplit(1, test_size=sizes.test, random_state=_random_state(seed, "test"))
        rest_idx, test_idx = next(splitter.split(group_N, group_N))
        rest_idx.sort()
        test_idx.sort()
    state = _random_state(seed, "validation")
    if data.folds is None:
        splitter = StratifiedShuffleSplit(1, test_size=sizes.valid, random_state=state)
    else:
        splitter = StratifiedKFold(data.folds, shuffle=True, random_state=state)
    group_R = group_N[rest_idx]
    pairs = [(np.sort(rest_idx[a]), np.sort(rest_idx[b])) for a, b in splitter.split(group_R, group_R)]
    replicas = tuple(
        Replica(repeat=repeat, fold=fold, train_idx=train_idx, valid_idx=valid_idx)
        for repeat in range(data.repeats)
        for fold, (train_idx, valid_idx) in enumerate(pairs)
    )
    verify(test_idx, replicas, group_N)
    return Splits(
        test_idx=test_idx,
        replicas=replicas,
        balance=tuple(_balance(test_idx, replicas[: len(pairs)], group_N, names)),
    )


def verify(test_idx: IndexArray, replicas: tuple[Replica, ...], group_N: IndexArray) -> None:
    """Assert what every split promises: parts disjoint, nothing lost, every group in every part at its share.

    A count may miss its exact share by less than 1 for each rounding on the way to the part.
    """
    _verify_shares("test", test_idx, group_N, roundings=1)
    folds = max(replica.fold for replica in replicas) + 1
    for replica in replicas:
        parts = np.concatenate([test_idx, replica.train_idx, replica.valid_idx])
        assert np.array_equal(np.sort(parts), np.arange(len(group_N))), "each example must be in exactly one part"
        roundings = 2 if folds == 1 else 3
        _verify_shares("train", replica.train_idx, group_N, roundings)
        _verify_shares("validation", replica.valid_idx, group_N, roundings)
    if folds > 1:
        validated = np.concatenate([replica.valid_idx for replica in replicas if replica.repeat == 0])
        assert len(np.unique(validated)) == len(validated), "folds must not overlap"
        assert len(validated) + len(test_idx) == len(group_N), "each example must be in the test part or a fold"


def _verify_shares(part: str, idx: IndexArray, group_N: IndexArray, roundings: int) -> None:
    if not len(idx):
        assert part == "test", f"the {part} part must not be empty"
        return
    whole = np.bincount(group_N)
    count = np.bincount(group_N[idx], minlength=len(whole))
    assert count.min() > 0, f"every group must be in the {part} part"
    miss = np.abs(count - whole * (len(idx) / len(group_N))).max()
    assert miss < roundings + 1e-6, f"the {part} part misses a group's share by {miss} examples"


def _sizes(dataset: Dataset, data: DataTable) -> Sizes:
    total = dataset.size
    test = round(data.test * total)
    valid = round(data.validation * total) if data.folds is None else (total - test) // data.folds
    asked = _asked(data)
    if data.folds is None and data.test + data.validation >= 1:
        raise DataError(f"data: {asked} leave nothing to train on; together they must be less than 1.")
    if (data.test and not test) or not valid or total - test - valid < 1:
        raise DataError(
            f"data: {asked} leave a part of {dataset.name} empty: it has only {total} examples."
            " Add examples or give the parts larger shares."
        )
    return Sizes(all=total, test=test, valid=valid, folds=data.folds)


def _groups(dataset: Dataset, data: DataTable, needed: int) -> tuple[IndexArray, tuple[str, ...]]:
    """The group of each example that the parts must hold in equal shares, and the groups' names."""
    if dataset.task == "regression":
        return _quantile_bins(dataset, needed)
    group_N = np.asarray(dataset.target_N, np.int64)
    counts = np.bincount(group_N, minlength=len(dataset.class_names))
    small = [(name, count) for name, count in zip(dataset.class_names, counts, strict=True) if count < needed]
    if small:
        name, count = min(small, key=lambda pair: pair[1])
        others = f" (also too small: {listed(other for other, _ in small if other != name)})" if len(small) > 1 else ""
        raise DataError(
            f'data: class "{name}" of {dataset.name} has {count} example{"s" if count != 1 else ""} and needs'
            f" at least {needed} to be in every part with {_asked(data)}{others}."
            f" {_way_out(data)}, add examples, or merge the class with another or drop its rows."
            + _regression_hint(dataset)
        )
    return group_N, dataset.class_names


def _quantile_bins(dataset: Dataset, needed: int) -> tuple[IndexArray, tuple[str, ...]]:
    """As many quantile bins of the target as have the needed members; equal targets share a bin."""
    target_N = dataset.target_N
    for bins in range(MOST_BINS, 0, -1):
        edges = np.unique(np.quantile(target_N, np.linspace(0, 1, bins + 1)[1:-1]))
        _, group_N = np.unique(np.searchsorted(edges, target_N, side="right"), return_inverse=True)
        if np.bincount(group_N).min() >= needed:
            break
    members = [target_N[group_N == group] for group in range(group_N.max() + 1)]
    return group_N, tuple(
        f"bin {number}: {values.min():.4g} to {values.max():.4g}" for number, values in enumerate(members, 1)
    )


def _asked(data: DataTable) -> str:
    return f"test = {data.test:.15g} and " + (
        f"validation = {data.validation:.15g}" if data.folds is None else f"folds = {data.folds}"
    )


def _way_out(data: DataTable) -> str:
    shares = "a larger data.test (or 0)" if data.test else ""
    validation = "a larger data.validation" if data.folds is None else "fewer data.folds"
    return f"Set {' or '.join(filter(None, (shares, validation)))}"


def _regression_hint(dataset: Dataset) -> str:
    try:
        for name in dataset.class_names:
            float(name)
    except ValueError:
        return ""
    return ' If the target is a quantity, set data.task = "regression".'


def _balance(
    test_idx: IndexArray, replicas: tuple[Replica, ...], group_N: IndexArray, names: tuple[str, ...]
) -> Iterator[BalanceRow]:
    parts = [("all", np.arange(len(group_N)))]
    if len(test_idx):
        parts.append(("test", test_idx))
    for replica in replicas:
        prefix = f"fold {replica.fold + 1} " if len(replicas) > 1 else ""
        parts += [(f"{prefix}train", replica.train_idx), (f"{prefix}validation", replica.valid_idx)]
    for part, idx in parts:
        counts = np.bincount(group_N[idx], minlength=len(names))
        for name, count in zip(names, counts.tolist(), strict=True):
            yield BalanceRow(part=part, group=name, count=count, share=count / len(idx))


def _random_state(seed: int, purpose: str) -> int:
    """A seed of its own for each draw, so that no draw repeats another."""
    return int(np.random.SeedSequence([seed, zlib.crc32(purpose.encode())]).generate_state(1)[0])
