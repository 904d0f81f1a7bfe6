"""Excel files (`.xlsx`), by openpyxl: the first sheet, with names in its first row. A formula is the value that was
saved with it."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from hpo.data.notes import Note
from hpo.data.readers.files import damaged, refuse_absent, wanting
from hpo.data.table import Table, refuse_duplicates, table_of
from hpo.errors import DataError
from hpo.studyfile.records import DataTable


def read_excel(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table:
    """The table in a file. Cells have types of their own there, so none pass for another."""
    import pandas as pd

    refuse_absent(path)
    sheets, rows = _sheet(path)
    width = max((place for row in rows for place, cell in enumerate(row, 1) if cell is not None), default=0)
    rows = [row[:width] + (None,) * (width - len(row)) for row in rows]
    while rows and not any(cell is not None for cell in rows[-1]):
        rows.pop()
    if not rows:
        raise DataError(f"{path}: the first sheet, {sheets[0]}, is empty. It needs a first row with column names.")
    named = [cell is not None for cell in rows[0]]
    if sum(named) <= 1 < width:
        raise DataError(
            f"{path}: row 1 of the first sheet, {sheets[0]}, must hold the columns' names, and has {sum(named)} for "
            f"{width} columns. Remove the rows above the names, and what stands beside the table."
        )
    names = [f"column {place}" if name is None else str(name).strip() for place, name in enumerate(rows[0], 1)]
    refuse_duplicates(names, str(path))
    columns = [[row[place] for row in rows[1:]] for place in range(width)]
    table = table_of(
        pd.DataFrame({name: pd.Series(cells) for name, cells in zip(names, columns, strict=True)}), path.name, str(path)
    )
    note = Note(kind="read_as", text=f"The file has {len(sheets)} sheets; the first, {sheets[0]}, was read")
    return replace(table, notes=(note,) if len(sheets) > 1 else ())


def _sheet(path: Path) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The names of the sheets, and the rows of the first."""
    try:
        from openpyxl import load_workbook
    except ImportError:
        raise wanting(path, "an Excel file", "openpyxl", "excel") from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles and the like, which are not read
            book = load_workbook(path, read_only=True, data_only=True)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # some programs write a wrong size
            rows = [tuple(_cell(cell) for cell in row) for row in sheet.iter_rows(values_only=True)]
            book.close()
    except Exception as error:  # the library raises whatever a damaged part leads to
        raise damaged(path, "Excel (.xlsx)", error) from None
    return book.sheetnames, rows


def _cell(cell: Any) -> Any:
    return None if isinstance(cell, str) and not cell.strip() else cell
