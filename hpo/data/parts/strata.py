"""Strata: the groups that have the same share in every part of a split: classes, or ranges of a number. No drawing."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import Dataset
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import DataTable

IndexArray = NDArray[np.int64]

MOST_BINS = 10
"""Regression is stratified over at most this many quantile bins of the target."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """Number of examples in each part, from the shares in the study file."""

    all: int
    test: int
    valid: int
    """Size of the validation part; with folds, that of the smallest fold."""
    folds: int | None

    @property
    def needed(self) -> int:
        """Number of members that a group needs to be in every part, however numbers are rounded.

        A stratified draw of m out of n examples holds at least floor(c * m / n) of a group of c.
        """
        rest = self.all - self.test
        of_rest = self.folds or math.ceil(rest / min(self.valid, rest - self.valid))
        of_all = math.ceil(self.all / self.test) if self.test else 1
        return max(of_all, math.ceil(of_rest * self.all / rest))

    @property
    def parts(self) -> int:
        """Parts of all examples."""
        return self.after_test + (self.test > 0)

    @property
    def after_test(self) -> int:
        """Parts that the examples outside the test part are divided into."""
        return self.folds or 2

    @property
    def smallest(self) -> int:
        """Examples of the smallest part."""
        return min(self.test or self.all, self.valid, self.all - self.test - self.valid)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Strata:
    """The group of each example."""

    group_N: IndexArray
    """Counted from 0; every group has members."""
    names: tuple[str, ...]
    rare: bool = False
    """Whether there are two groups, one of which is too small to be in every part by its share; it still has a member
    for each part."""


def strata(
    dataset: Dataset, data: DataTable, sizes: Sizes, *, tied_apart: bool = True, unit_N: IndexArray | None = None
) -> Strata:
    """Classes, or quantile bins of the target. Raises `DataError` when a class has too few members.

    `tied_apart`: if most examples have the same target, so that there is only one bin, the other examples form groups
    of their own. Studies of earlier conventions keep their split without this rule. `unit_N`: the unit of each example
    where those of a unit stay together, so that a class or a bin also needs a unit for each part.
    """
    if dataset.task == "classification":
        return _classes(dataset, data, sizes, unit_N)
    target_N = dataset.target_N.astype(np.float64)
    group_N = _quantile_bins(target_N, sizes, unit_N)
    if tied_apart and not group_N.any():
        values, counts = np.unique(target_N, return_counts=True)
        other_N = target_N != values[counts.argmax()]
        others = int(other_N.sum())
        units = others if unit_N is None else len(np.unique(unit_N[other_N]))
        if sizes.parts <= units and others <= sizes.all / 2 and sizes.smallest > 1:
            other_units = None if unit_N is None else unit_N[other_N]
            group_N[other_N] = 1 + _quantile_bins(target_N[other_N], sizes, other_units)
            names = (f"{values[counts.argmax()]:.4g}", *_ranges("others, bin", target_N[other_N], group_N[other_N]))
            return Strata(group_N=group_N, names=names, rare=others < sizes.needed)
    return Strata(group_N=group_N, names=_ranges("bin", target_N, group_N))


def groups_of(dataset: Dataset) -> Strata:
    """Classes, or quantile bins of the target, whatever their sizes; of parts that the data give."""
    if dataset.task == "classification":
        return Strata(group_N=np.asarray(dataset.target_N, np.int64), names=dataset.class_names)
    target_N = dataset.target_N.astype(np.float64)
    group_N = _quantile_bins(target_N, None, None)
    return Strata(group_N=group_N, names=_ranges("bin", target_N, group_N))


def units_in(group_N: IndexArray, unit_N: IndexArray) -> IndexArray:
    """The number of units that have members of each group."""
    pairs = np.unique(np.column_stack([group_N, unit_N]), axis=0)
    return np.bincount(pairs[:, 0], minlength=int(group_N.max()) + 1)


def _classes(dataset: Dataset, data: DataTable, sizes: Sizes, unit_N: IndexArray | None) -> Strata:
    group_N, needed = np.asarray(dataset.target_N, np.int64), sizes.needed
    counts = np.bincount(group_N, minlength=len(dataset.class_names))
    small = [(name, count) for name, count in zip(dataset.class_names, counts, strict=True) if count < needed]
    if small:
        name, count = min(small, key=lambda pair: pair[1])
        others = f" (also too small: {listed(other for other, _ in small if other != name)})" if len(small) > 1 else ""
        raise DataError(
            f'data: class "{name}" of {dataset.name} has {count} example{"s" if count != 1 else ""} and needs'
            f" at least {needed} to be in every part with {asked(data)}{others}."
            f" {_way_out(data)}, add examples, or merge the class with another or drop its rows."
            + _regression_hint(dataset)
        )
    if unit_N is not None and (units := units_in(group_N, unit_N)).min() < sizes.parts:
        scarce = int(units.argmin())
        raise cannot_be_everywhere(dataset, data, scarce, int(units[scarce]), sizes)
    return Strata(group_N=group_N, names=dataset.class_names)


def cannot_be_everywhere(dataset: Dataset, data: DataTable, index: int, units: int, sizes: Sizes) -> DataError:
    """The error for a class whose examples stay together in so few units that it cannot be in every part."""
    held = held_in(dataset, data, np.flatnonzero(dataset.target_N == index), units)
    ways = [_way_out(data), "add groups" if data.group else "add examples that differ"]
    return DataError(
        f'data: class "{dataset.class_names[index]}" of {dataset.name} is in {held}, which cannot be divided so that '
        f"it is in each of {sizes.parts} parts with {asked(data)}. {_why(data)} {', '.join(ways)}, say with "
        "data.split which rows are of which part, or merge the class with another or drop its rows."
    )


def too_few_units(dataset: Dataset, data: DataTable, units: int, sizes: Sizes) -> DataError:
    """The error for examples that stay together in fewer units than there are parts."""
    held = held_in(dataset, data, np.arange(dataset.size), units)
    return DataError(
        f"data: {dataset.name} has only {held}, and {asked(data)} make {sizes.parts} parts. {_why(data)} "
        f"{_way_out(data)}, add examples, or say with data.split which rows are of which part."
    )


def held_in(dataset: Dataset, data: DataTable, idx: IndexArray, units: int) -> str:
    """What the examples, which stay together in so many units, are in: groups, or examples with different features."""
    if dataset.group_N is None:
        return f"{units} example{'s' if units != 1 else ''} with different features"
    groups = len(set(dataset.group_N[idx].tolist()))
    tied = f", tied to {units} by rows with the same features" if units < groups else ""
    return f'{groups} group{"s" if groups != 1 else ""} of "{data.group}"{tied}'


def _why(data: DataTable) -> str:
    if data.group is None:
        return "Examples with the same features are in one part, so that no score is of what was trained on."
    return "A group, and examples with the same features, are in one part."


def _quantile_bins(target_N: NDArray[np.float64], sizes: Sizes | None, unit_N: IndexArray | None) -> IndexArray:
    """The largest number of quantile bins of the target that all have the members, and the units, that parts of these
    sizes need; None: any. Equal targets share a bin."""
    for bins in range(MOST_BINS, 1, -1):
        edges = np.unique(np.quantile(target_N, np.linspace(0, 1, bins + 1)[1:-1]))
        _, group_N = np.unique(np.searchsorted(edges, target_N, side="right"), return_inverse=True)
        enough = np.bincount(group_N).min() >= (sizes.needed if sizes else 1)
        if enough and (sizes is None or unit_N is None or units_in(group_N, unit_N).min() >= sizes.parts):
            return group_N
    return np.zeros(len(target_N), np.int64)


def _ranges(word: str, target_N: NDArray[np.float64], group_N: IndexArray) -> tuple[str, ...]:
    """Each group's number and range, in the order of the groups."""
    members = (target_N[group_N == group] for group in np.unique(group_N))
    return tuple(f"{word} {number}: {found.min():.4g} to {found.max():.4g}" for number, found in enumerate(members, 1))


def asked(data: DataTable) -> str:
    """The shares of the parts, written as in the study file."""
    test = f"{data.test:.15g}" if isinstance(data.test, float) else data.test
    return f"test = {test} and " + (
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
