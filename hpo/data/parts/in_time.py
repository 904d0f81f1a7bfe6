"""Parts in the order of time: models train on the past and are scored on what came later. No drawing.

Examples of one time are in one part. Folds are expanding windows, those of scikit-learn's `TimeSeriesSplit`: each
trains on all before its validation part.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import Dataset
from hpo.data.parts.strata import IndexArray, Sizes, asked
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

Pair = tuple[IndexArray, IndexArray]
"""Ascending positions to train and to validate on."""


def split_in_time(
    dataset: Dataset, time_N: NDArray[np.float64], data: DataTable, sizes: Sizes
) -> tuple[IndexArray, list[Pair]]:
    """The test part, and the pairs of training and validation parts. Raises `DataError` where there are too few
    different times to divide."""
    order = np.argsort(time_N, kind="stable")
    ends = np.flatnonzero(np.diff(time_N[order])) + 1
    rest = sizes.all - sizes.test
    if sizes.folds is None:
        wanted = [rest - sizes.valid]
    else:
        from sklearn.model_selection import TimeSeriesSplit

        wanted = [int(valid[0]) for _, valid in TimeSeriesSplit(sizes.folds).split(np.arange(rest))]
    cuts = _cuts(ends, [*wanted, *([rest] if sizes.test else [])])
    if cuts is None:
        parts = len(wanted) + 1 + (sizes.test > 0)
        raise DataError(
            f'data.time: "{data.time}" of {dataset.name} has {len(ends) + 1} different times, and {asked(data)} need '
            f"at least {parts}, as examples of one time are in one part. Set fewer data.folds, or name a finer column."
        )
    last = cuts.pop() if sizes.test else sizes.all
    pairs = [
        (np.sort(order[:begin]), np.sort(order[begin:end])) for begin, end in zip(cuts, [*cuts[1:], last], strict=True)
    ]
    return np.sort(order[last:]), pairs


def refuse_disorder(dataset: Dataset, data: DataTable, test_idx: IndexArray, pairs: Sequence[Pair]) -> None:
    """Raise `DataError` where parts that the data give are not in the order of time."""
    assert dataset.time_N is not None
    for train_idx, valid_idx in pairs:
        named = [("train", train_idx), ("validation", valid_idx), ("test", test_idx)]
        parts = [(name, idx) for name, idx in named if len(idx)]
        for (before, early), (after, late) in pairwise(parts):
            newest = early[dataset.time_N[early].argmax()]
            oldest = late[dataset.time_N[late].argmin()]
            if dataset.time_N[newest] >= dataset.time_N[oldest]:
                raise DataError(
                    f"data.time: row {oldest + 1} of {dataset.name} is in the part {after} and not later than row "
                    f"{newest + 1} in the part {before}. Leave data.time out, or give parts that follow the time."
                )


def _cuts(ends: IndexArray, wanted: Sequence[int]) -> list[int] | None:
    """The ends of times that are nearest to the wanted positions, ascending; None where there are too few."""
    if len(ends) < len(wanted):
        return None
    found: list[int] = []
    stop = len(ends)
    for place in reversed(range(len(wanted))):
        free = ends[place:stop]
        chosen = place + int(np.abs(free - wanted[place]).argmin())
        found.insert(0, int(ends[chosen]))
        stop = chosen
    return found
