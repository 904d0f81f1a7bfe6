"""The usable features of a table, put together from its columns. No target, no reading of files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hpo.data.columns.kinds import Column, read_column
from hpo.data.dataset import CellForm, TextArray, no_categories
from hpo.data.notes import Note, grouped
from hpo.data.table import Table
from hpo.errors import DataError
from hpo.studyfile.records import DataTable
from hpo.studyfile.tree import toml_key

if TYPE_CHECKING:
    from pandas import DataFrame

UNNAMED = ("column 1", "Unnamed: 0")
"""How the first column is called when the file gives it no name; pandas writes its row numbers there."""
LEAST_ROWS = 20
"""In shorter tables, a column that counts the rows may be one of numbers."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Features:
    """The usable columns."""

    numeric_NF: NDArray[np.float64]
    numeric_names: tuple[str, ...]
    categorical_NK: TextArray
    categorical_names: tuple[str, ...]
    forms: Mapping[str, CellForm]
    """How cells are read, by column, where this is not the plain way."""
    texts_NW: TextArray | None
    """None without columns of texts."""
    text_names: tuple[str, ...]
    notes: tuple[Note, ...]
    """What was found about columns that are left out or suspicious."""


def read_features(table: Table, features: DataFrame, data: DataTable) -> Features:
    """Sorts the columns of `features`, the table without its target, into numbers, categories and texts.

    Left out with a note: constant columns, identifiers, an unnamed first column that only counts
    the rows. Raises `DataError` where a column cannot be read, or none remains.
    """
    columns: list[Column] = []
    notes: list[Note] = []
    for name in features.columns:
        column = read_column(features[name], data, table.place)
        left_out = None if column.kind in ("identifier", "ignored") else _useless(column)
        notes += [left_out] if left_out else column.notes
        if left_out is None and column.values_N is not None and _counts_rows(column):
            if name in UNNAMED and name not in data.columns:
                unnamed = "The first column was left out: it has no name and counts the rows"
                notes.append(Note(kind="left_out", text=unnamed))
                continue
            counting = "Counts the rows; if they are sorted, it gives the target away"
            notes.append(Note(kind="suspicious", text=counting, column=str(name)))
        if left_out is None:
            columns.append(column)
    numeric = {column.name: column.values_N for column in columns if column.values_N is not None}
    cells = [(column, column.cells_N) for column in columns if column.cells_N is not None]
    categorical = {column.name: cells_N for column, cells_N in cells if column.kind != "text"}
    words = {column.name: cells_N for column, cells_N in cells if column.kind == "text"}
    if not columns:
        raise DataError(f"{table.place}: no column is left to predict from. {' '.join(grouped(notes))}".rstrip())
    size = len(features)
    return Features(
        numeric_NF=np.column_stack(list(numeric.values())) if numeric else np.empty((size, 0)),
        numeric_names=tuple(numeric),
        categorical_NK=np.column_stack(list(categorical.values())) if categorical else no_categories(size),
        categorical_names=tuple(categorical),
        texts_NW=np.column_stack(list(words.values())) if words else None,
        text_names=tuple(words),
        forms={column.name: column.form for column in columns if column.form is not None},
        notes=(*table.notes, *notes),
    )


def read_numbers(table: Table, features: DataFrame, data: DataTable) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The names and numbers of all columns that are not declared as identifiers or ignored, [N, F], for an image or a
    sequence. Raises `DataError` for a column of something else."""
    columns = {}
    for name in features.columns:
        column = read_column(features[name], data, table.place)
        if column.values_N is not None:
            columns[name] = column.values_N
        elif data.columns.get(name) not in ("identifier", "ignored"):
            raise DataError(
                f'{table.place}: column "{name}" holds no numbers, and with data.shape all columns must. '
                f'`[data.columns] {toml_key(name)} = "ignored"` leaves it out.'
            )
    return tuple(columns), np.column_stack(list(columns.values())) if columns else np.empty((len(features), 0))


def _useless(column: Column) -> Note | None:
    """Why nothing can be learnt from the column; None where something can."""
    if column.values_N is not None:
        known_N = column.values_N[~np.isnan(column.values_N)]
        count, whole = (2 if np.ptp(known_N) else 1) if len(known_N) else 0, len(known_N) == len(column.values_N)
    else:
        assert column.cells_N is not None
        values = set(column.cells_N.tolist())
        count, whole = len(values - {None}), None not in values
    if count > 1 or (count == 1 and not whole):
        return None
    text = f"Left out because {'constant' if count else 'empty'}"
    return Note(kind="constant", text=text, column=column.name)


def _counts_rows(column: Column) -> bool:
    assert column.values_N is not None
    return len(column.values_N) > LEAST_ROWS and bool((np.diff(column.values_N) == 1).all())
