"""Rows with exactly the same features, whatever their targets: which they are, and how many. No drawing."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hpo.data.dataset import Dataset
from hpo.data.parts.strata import IndexArray
from hpo.data.streaming.mapped import portions, release


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeats:
    """How many rows have the features of another row."""

    rows: int = 0
    """Rows that have the same features as an earlier row."""
    conflicting: int = 0
    """Rows that have the same features as a row with another target."""
    across: int = 0
    """Rows to validate or test on that have the same features as a row to train on: where the data give the parts,
    where these follow the time, and in studies of earlier conventions."""


NO_REPEATS = Repeats()


def same_features(dataset: Dataset) -> IndexArray:
    """[N] The position of the first row that has the same features as each row."""
    digest_N = np.empty(dataset.size, "S16")
    code_NK = _codes(dataset)
    for part in portions(dataset.size, dataset.numeric.shape[1:]):
        numbers = np.add(dataset.numeric[part], np.float32(0.0))  # no negative zero
        release(dataset.numeric)
        numbers[np.isnan(numbers)] = np.nan  # of all the bytes that mean "missing"
        for row in range(part.start, part.stop):
            digest = hashlib.blake2b(numbers[row - part.start].tobytes(), digest_size=16)
            digest.update(code_NK[row].tobytes())
            digest_N[row] = digest.digest()
    _, row_U, unique_N = np.unique(digest_N, return_index=True, return_inverse=True)
    return row_U[unique_N]


def count_repeats(
    dataset: Dataset, first_N: IndexArray, pairs: Iterable[tuple[IndexArray, IndexArray]], test_idx: IndexArray
) -> Repeats:
    """The figures for parts; `first_N`: of `same_features`, `pairs`: of positions to train and to validate on."""
    repeated = dataset.size - len(np.unique(first_N))
    if not repeated:
        return Repeats()
    _, target_N = np.unique(dataset.target_N, return_inverse=True)
    low_N, high_N = np.full(dataset.size, dataset.size), np.full(dataset.size, -1)
    np.minimum.at(low_N, first_N, target_N)
    np.maximum.at(high_N, first_N, target_N)
    across = np.zeros(dataset.size, bool)
    for train_idx, valid_idx in pairs:
        trained_N = np.zeros(dataset.size, bool)
        trained_N[first_N[train_idx]] = True
        for idx in (valid_idx, test_idx):
            across[idx] |= trained_N[first_N[idx]]
    return Repeats(rows=repeated, conflicting=int((low_N < high_N)[first_N].sum()), across=int(across.sum()))


def _codes(dataset: Dataset) -> IndexArray:
    """[N, ...] A number for each cell of a categorical or text column, and the length of a sequence."""
    columns = []
    texts = () if dataset.texts_NW is None else dataset.texts_NW.T
    for cells_N in (*dataset.categorical_NK.T, *texts):
        code: dict[object, int] = {}
        columns.append(np.array([code.setdefault(cell, len(code)) for cell in cells_N.tolist()], np.int64))
    if dataset.lengths_N is not None:
        columns.append(dataset.lengths_N)
    return np.ascontiguousarray(np.column_stack(columns)) if columns else np.empty((dataset.size, 0), np.int64)
