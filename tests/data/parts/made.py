"""Data sets made for tests of splits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hpo.data.dataset import Dataset, no_categories
from hpo.studyfile.records import DataTable


def dataset(
    target: Iterable[float], *, classes: bool = True, x: Any = None, group: Any = None, time: Any = None
) -> Dataset:
    """Rows with these targets, whole numbers from 0 on where they are classes (a, b, c ...); without `x` all rows have
    different features."""
    target_N = np.asarray(list(target), np.int64 if classes else np.float64)
    x_N = np.arange(len(target_N)) if x is None else np.asarray(x)
    return Dataset(
        name="made",
        kind="tabular",
        task="classification" if classes else "regression",
        numeric=x_N.astype(np.float64)[:, None],
        numeric_names=("x",),
        categorical_NK=no_categories(len(target_N)),
        categorical_names=(),
        target_N=target_N,
        target_name="y",
        class_names=tuple("abcdefghijkl"[: int(target_N.max()) + 1]) if classes else (),
        group_N=None if group is None else np.array([str(name) for name in group], object),
        time_N=None if time is None else np.asarray(time, np.float64),
    )


def table(**values: object) -> DataTable:
    return DataTable.model_validate({"dataset": "made", **values})
