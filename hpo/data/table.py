"""A table as a reader gives it, before anything is decided about its columns: names, cells, and where it came from.

A cell is a number, a date, a text or missing. Text cells are stripped of blanks; what counts as missing is in
`MISSING`. Rows are counted from 1 after the first line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import TextArray
from hpo.data.notes import Note
from hpo.errors import DataError
from hpo.printable import listed

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None")
"""Cells, stripped of blanks, that count as missing."""


Coded = tuple[NDArray[np.int64], list[str | None]]
"""The index of each cell's text, -1 where the cell is missing, and the texts; None for those that mean "missing"."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Table:
    """Rows under unique column names."""

    name: str
    """Of the file, e.g. `sales.csv`; what the data set is called."""
    place: str
    """Where it is, for messages: a path, or `the frame`."""
    frame: DataFrame
    """Columns of numbers, dates or anything else that `texts` turns into text."""
    target: str | None = None
    """The column to predict, where the source says it."""
    notes: tuple[Note, ...] = ()
    """What the reader found out about the file."""


def table_of(frame: DataFrame, name: str, place: str) -> Table:
    """A table of a frame. Raises `DataError` where it has no rows, or two columns of one name."""
    frame = frame.rename(columns=lambda column: str(column).strip())
    refuse_duplicates(frame.columns, place)
    if frame.empty:
        raise DataError(f"{place}: it has {len(frame.columns)} columns and no rows. Add examples.")
    return Table(name=name, place=place, frame=frame)


def distinct_rows(table: Table, column: str) -> Table:
    """The table without the rows where the column is empty, or has the text of an earlier row."""
    cells = texts(table.frame[column])
    first: dict[str, int] = {}
    for row, cell in enumerate(cells):
        if cell is not None:
            first.setdefault(cell, row)
    gone = len(cells) - len(first)
    if not gone:
        return table
    note = Note(kind="left_out", text=f'{gone:,} rows were left out, where "{column}" is empty or as in an earlier row')
    frame = table.frame.iloc[list(first.values())].reset_index(drop=True)
    return replace(table, frame=frame, notes=(*table.notes, note))


def refuse_duplicates(names: Iterable[str], place: str) -> None:
    """Raise `DataError` for a name that two columns have."""
    names = list(names)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        places = [str(number) for number, name in enumerate(names, 1) if name == twice[0]]
        raise DataError(
            f'{place}: column name "{twice[0]}" occurs {len(places)} times (columns {listed(places, 10)}).'
            " Names must be unique: rename or remove the others."
        )


def texts(column: Series[Any]) -> TextArray:
    """The column as text, None where missing. Whole numbers are written without a fraction."""
    return joined(distinct(column))


def joined(coded: Coded) -> TextArray:
    """The texts of a column that `distinct` took apart."""
    code_N, words = coded
    return np.array([*words, None], dtype=object)[code_N]


def distinct(column: Series[Any]) -> Coded:
    """The column's different texts in the order in which they appear, and the index of each cell's. Two cells that
    strip to one text may have two indices. Raises `DataError` for cells that hold lists or tables."""
    import pandas as pd

    try:
        code_N, values_U = pd.factorize(column)
    except TypeError:
        raise DataError(f'column "{column.name}" holds lists or tables, and a cell must be one value') from None
    words: list[str | None] = [_text(value) for value in np.asarray(values_U, dtype=object).tolist()]
    words = [None if word in MISSING else word for word in words]
    known_U = np.array([word is not None for word in words] + [False])
    return np.where(known_U[code_N], code_N, -1), words


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def rows(positions: NDArray[np.int64]) -> str:
    """`row 3`, `rows 3, 7, 12, ... and 4 more`."""
    return f"row{'s' if len(positions) > 1 else ''} {listed((str(number + 1) for number in positions.tolist()), 10)}"
