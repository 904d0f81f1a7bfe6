"""A table becomes a `Dataset`: its target, its features, and what was odd about them."""

from __future__ import annotations

from dataclasses import replace

from hpo.data.columns.features import read_features
from hpo.data.columns.target import read_target, target_column
from hpo.data.dataset import Dataset
from hpo.data.notes import Note
from hpo.data.table import Table
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import DataTable


def dataset_of_table(table: Table, data: DataTable) -> Dataset:
    """The data set in a table. Raises `DataError` where its target or its columns do not suit."""
    target = target_column(table, data)
    refuse_strangers(table, data)
    goal = read_target(table, data)
    features = read_features(table, table.frame.drop(columns=target), data)
    return Dataset(
        name=table.name,
        kind="tabular" if features.numeric_names or features.categorical_names else "text",
        task=goal.task,
        numeric=features.numeric_NF,
        numeric_names=features.numeric_names,
        categorical_NK=features.categorical_NK,
        categorical_names=features.categorical_names,
        texts_NW=features.texts_NW,
        text_names=features.text_names,
        target_N=goal.values_N,
        target_name=target,
        class_names=goal.class_names,
        forms=features.forms,
        task_reason=goal.reason,
        notes=(*features.notes, *goal.notes),
    )


def refuse_strangers(table: Table, data: DataTable) -> None:
    """Raise `DataError` where a column is declared that the table lacks."""
    if strangers := [name for name in data.columns if name not in table.frame.columns]:
        raise DataError(
            f"data.columns: {table.place} has no column {listed(strangers)}. Columns: {listed(table.frame.columns)}."
        )


def without_texts(dataset: Dataset) -> Dataset:
    """The data set for a study whose models take no words. Raises `DataError` if nothing remains."""
    if dataset.texts_NW is None:
        return dataset
    if dataset.kind == "text":
        raise DataError(
            f"{dataset.name}: beside the target there are only texts ({listed(dataset.text_names)}), and no model of "
            'this study takes words. Take model.family = "mlp", "recurrent" or "transformer", or a module of your own.'
        )
    why = "Left out because it holds texts, and no model of this study takes words"
    notes = (Note(kind="left_out", text=why, column=name) for name in dataset.text_names)
    return replace(dataset, texts_NW=None, text_names=(), notes=(*dataset.notes, *notes))
