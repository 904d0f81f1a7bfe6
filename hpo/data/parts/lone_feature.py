"""The feature of a table that predicts the target best alone: one that is as good as a whole model may hold what is
known only after the fact. Pure arithmetic on the parts; no model, no drawing.

A column is divided into bins at quantiles of the training part, or by its texts, with a bin for missing cells. Of each
bin the most frequent class or the mean target is predicted. Bins that the training part lacks get the prediction of the
whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import Dataset
from hpo.data.parts.strata import IndexArray

MOST_ROWS = 20_000
"""Most examples of a part that are used, evenly spread over it."""
MOST_FEATURES = 1_000
"""Most columns of a table whose features are tried."""
MOST_BINS = 32
ROWS_A_BIN = 20
"""Training examples in a bin of numbers, at least."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alone:
    """The best feature alone."""

    name: str
    metric: str
    """`accuracy` or `r2`."""
    score: float
    """On the validation part."""
    constant: float
    """Score of a constant prediction."""
    features: int
    """Features that were tried."""
    examples: int
    """Validation examples."""


def lone_feature(dataset: Dataset, train_idx: IndexArray, valid_idx: IndexArray) -> Alone | None:
    """The feature that predicts the validation part best alone.

    None where that says nothing: the data is no table, is streamed, has one column or more than `MOST_FEATURES`, or the
    validation part's targets are all alike.
    """
    columns = len(dataset.numeric_names) + len(dataset.categorical_names)
    if dataset.kind != "tabular" or dataset.on_disk is not None or not 2 <= columns <= MOST_FEATURES:
        return None
    train_T, valid_V = _thinned(train_idx), _thinned(valid_idx)
    target_T, target_V = dataset.target_N[train_T], dataset.target_N[valid_V]
    if not len(target_T) or not len(target_V) or target_V.min() == target_V.max():
        return None
    classes = len(dataset.class_names)
    zeros_T, zeros_V = np.zeros(len(target_T), np.int64), np.zeros(len(target_V), np.int64)
    constant = _score(zeros_T, zeros_V, target_T, target_V, classes)
    scores = {
        name: _score(bin_T, bin_V, target_T, target_V, classes)
        for name, bin_T, bin_V in _binned(dataset, train_T, valid_V)
    }
    best = max(scores, key=lambda name: scores[name])
    return Alone(
        name=best,
        metric="accuracy" if classes else "r2",
        score=scores[best],
        constant=constant,
        features=columns,
        examples=len(target_V),
    )


def _thinned(idx: IndexArray) -> IndexArray:
    """At most `MOST_ROWS` of the positions, evenly spread."""
    return idx[:: max(1, -(-len(idx) // MOST_ROWS))]


def _binned(dataset: Dataset, train_T: IndexArray, valid_V: IndexArray) -> Iterator[tuple[str, IndexArray, IndexArray]]:
    """(name, bin of each training example, bin of each validation example) of each column."""
    bins = int(np.clip(len(train_T) // ROWS_A_BIN, 2, MOST_BINS))
    for at, name in enumerate(dataset.numeric_names):
        cells_T, cells_V = dataset.numeric[train_T, at], dataset.numeric[valid_V, at]
        known = cells_T[np.isfinite(cells_T)]
        edges = np.unique(np.quantile(known, np.arange(1, bins) / bins)) if len(known) else np.empty(0)
        yield name, _bins(cells_T, edges), _bins(cells_V, edges)
    for at, name in enumerate(dataset.categorical_names):
        code: dict[object, int] = {}
        cells_N = dataset.categorical_NK[:, at]
        yield name, _codes(cells_N[train_T], code), _codes(cells_N[valid_V], code)


def _bins(cells: NDArray[np.floating[Any]], edges: NDArray[np.float64]) -> IndexArray:
    return np.where(np.isnan(cells), len(edges) + 1, np.searchsorted(edges, cells, side="right"))


def _codes(cells: NDArray[Any], code: dict[object, int]) -> IndexArray:
    return np.array([code.setdefault(cell, len(code)) for cell in cells.tolist()], np.int64)


def _score(
    bin_T: IndexArray, bin_V: IndexArray, target_T: NDArray[np.generic], target_V: NDArray[np.generic], classes: int
) -> float:
    """Accuracy or R² on the validation part of what each bin of the training part predicts."""
    count = int(max(bin_T.max(), bin_V.max())) + 1
    if classes:
        counts_BC = np.zeros((count, classes), np.int64)
        np.add.at(counts_BC, (bin_T, target_T.astype(np.int64)), 1)
        counts_BC[counts_BC.sum(1) == 0] = counts_BC.sum(0)
        return float(np.mean(counts_BC.argmax(1)[bin_V] == target_V))
    numbers_T, numbers_V = target_T.astype(np.float64), target_V.astype(np.float64)
    sizes_B = np.bincount(bin_T, minlength=count)
    sums_B = np.bincount(bin_T, numbers_T, minlength=count)
    means_B = np.where(sizes_B > 0, sums_B / np.maximum(sizes_B, 1), numbers_T.mean())
    return float(1.0 - np.mean((numbers_V - means_B[bin_V]) ** 2) / np.var(numbers_V))
