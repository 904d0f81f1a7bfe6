"""Data of the user's own, a file, a folder or a function, becomes a `Dataset`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.data.arrays import Arrays, formed
from hpo.data.columns.features import read_numbers
from hpo.data.columns.target import target_column
from hpo.data.dataset import Dataset
from hpo.data.from_arrays import dataset_of_arrays, refuse_no_target, table_of_arrays
from hpo.data.from_table import dataset_of_table, refuse_strangers
from hpo.data.parts.given import joined, split_off
from hpo.data.parts.keys import keys_off
from hpo.data.readers import read_source
from hpo.data.readers.function import read_object
from hpo.data.table import Table, distinct_rows
from hpo.errors import DataError
from hpo.paths import OBJECT
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from pandas import DataFrame


READING = ("header", "separator", "quote", "encoding")
"""Keys of `[data]` that say how a CSV file is read."""


def load_source(
    data: DataTable, base: Path, *, distinct: str | None = None, given: Mapping[str, Any] | None = None
) -> Dataset:
    """The data set that `data.dataset` names, and its test part where `data.test` names one; paths are relative to
    `base`. `distinct`: rows of a table where this column is empty, or as in an earlier row, are left out.
    `given`: data given as objects, by key. Raises `DataError` saying what is wrong, where, and the way out."""
    found, part_N = _read(data.dataset, data, base, "data.dataset", given), None
    if distinct is not None and isinstance(found, Table):
        found = distinct_rows(found, distinct)
    if isinstance(data.test, str):
        found, part_N = joined(found, _read(data.test, data, base, "data.test", given))
    found, keys = keys_off(found, data)
    if isinstance(found, Table):
        found, part_N = (found, part_N) if data.split is None else split_off(found, data)
        if data.shape is None:
            return replace(keys.of(dataset_of_table(found, data)), part_N=part_N)
        found = formed(_rows(found, data), data.shape)
    elif data.split is not None:
        raise DataError(f"data.split: {found.place} is no table, so it has no columns. Give data.test a second file.")
    if found.x.ndim == 2:
        refuse_no_target(found)
        named = data.model_copy(update={"target": found.y_name})
        return replace(keys.of(dataset_of_table(table_of_arrays(found), named)), part_N=part_N)
    if data.columns and found.columns is None:
        raise DataError(f"data.columns: {found.place} has no columns. Leave the table out.")
    return replace(keys.of(dataset_of_arrays(found, data)), part_N=part_N)


def read_frame(
    named: str, shape: tuple[int, ...], *, as_text: Iterable[str] = (), reading: Mapping[str, Any] | None = None
) -> DataFrame:
    """The rows of a file, a folder or what a function gives, for a model that takes examples of this shape. Numbers of
    arrays have the names that they had in training. `reading`: how CSV files of training were declared, by the keys of
    `READING`; a file in UTF-8 is read as such all the same."""
    data = DataTable(dataset=named, shape=shape if len(shape) > 1 else None).model_copy(update=dict(reading or {}))
    try:
        found = read_source(named, data.model_copy(update={"encoding": None}), Path(), as_text=as_text)
    except DataError:
        if data.encoding is None:
            raise
        found = read_source(named, data, Path(), as_text=as_text)
    return (found if isinstance(found, Table) else table_of_arrays(formed(found, data.shape))).frame


def _read(named: str, data: DataTable, base: Path, key: str, given: Mapping[str, Any] | None) -> Table | Arrays:
    texts = {name for name, kind in data.columns.items() if kind in ("categorical", "text", "identifier")}
    named_columns = {name for name in (data.target, data.split, data.group) if name is not None}
    if named == OBJECT:
        found = read_object(given, key)
    else:
        found = read_source(named, data, base, as_text=texts | named_columns, key=key)
    return found if isinstance(found, Table) else formed(found, data.shape)


def _rows(table: Table, data: DataTable) -> Arrays:
    """The features of a table as an array of numbers."""
    target = target_column(table, data)
    refuse_strangers(table, data)
    names, x_NF = read_numbers(table, table.frame.drop(columns=target), data)
    y = table.frame[target].to_numpy(object)
    return Arrays(name=table.name, place=table.place, x=x_NF, y=y, y_name=target, columns=names, notes=table.notes)
