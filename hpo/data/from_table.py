"""A table becomes a `Dataset`: its target, its features, and what was odd about them."""

from __future__ import annotations

from pathlib import Path

from hpo.data.columns.features import read_features
from hpo.data.columns.target import read_target, target_column
from hpo.data.dataset import Dataset
from hpo.data.readers import read_file
from hpo.data.table import Table
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import DataTable


def load_file(path: Path, data: DataTable) -> Dataset:
    """The data set in a file. Raises `DataError` saying what is wrong, where, and the way out."""
    texts = {name for name, kind in data.columns.items() if kind in ("categorical", "text", "identifier")}
    return dataset_of(read_file(path, data, as_text=texts | {data.target or ""}), data)


def dataset_of(table: Table, data: DataTable) -> Dataset:
    """The data set in a table. Raises `DataError` where its target or its columns do not suit."""
    target = target_column(table, data)
    if strangers := [name for name in data.columns if name not in table.frame.columns]:
        raise DataError(
            f"data.columns: {table.place} has no column {listed(strangers)}. Columns: {listed(table.frame.columns)}."
        )
    goal = read_target(table, data)
    features = read_features(table, table.frame.drop(columns=target), data)
    return Dataset(
        name=table.name,
        kind="tabular",
        task=goal.task,
        numeric=features.numeric_NF,
        numeric_names=features.numeric_names,
        categorical_NK=features.categorical_NK,
        categorical_names=features.categorical_names,
        target_N=goal.values_N,
        target_name=target,
        class_names=goal.class_names,
        forms=features.forms,
        task_reason=goal.reason,
        notes=(*features.notes, *goal.notes),
    )
