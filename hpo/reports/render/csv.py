"""The CSV files of a report. Numbers are written with Python's `repr`, so that reading them back gives the same float.

`trials.csv` contains no times and no dates, so that two runs with the same seed give the same bytes. Times are in the
last column of `epochs.csv`.

A spreadsheet computes a cell of text that begins like a formula. With `spreadsheet`, such text gets an apostrophe in
front, which spreadsheets take as the mark of text; numbers are not changed. Without it, every cell is exact.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.reports.tables import epoch_columns, trial_cells, trial_columns

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

FORMULA = re.compile(r"[=+\-@\t\r\n]")
"""Beginnings of text that a spreadsheet computes, or that it may skip."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""Text that a spreadsheet reads as a number."""
QUOTED = re.compile(r'[,"\r\n]')
"""What makes quotes necessary."""


def trials_csv(report: StudyReport, *, spreadsheet: bool = False) -> str:
    """One row per trial, by number; the parameters in alphabetical order, empty where not active."""
    return csv_text(trial_columns(report), trial_cells(report), spreadsheet=spreadsheet)


def epochs_csv(report: StudyReport, *, spreadsheet: bool = False) -> str:
    """One row per trial, replica and epoch; metrics in alphabetical order, seconds last."""
    names = epoch_columns(report)
    # All cells are numbers, which need no quotes; column by column, that takes half as long.
    texts = [list(map(repr, report.epochs[name].tolist())) for name in names]
    for name, cells in zip(names, texts, strict=True):
        for missing in np.flatnonzero(np.isnan(report.epochs[name])).tolist():
            cells[missing] = ""
    return csv_text(names, (), spreadsheet=spreadsheet) + "\n".join([*map(",".join, zip(*texts, strict=True)), ""])


IMPORTANCE_COLUMNS = ("parameter", "with", "role", "importance", "low", "high", "chance", "applies_to", "trials")


def importances_csv(report: StudyReport, *, spreadsheet: bool = False) -> str:
    """One row per parameter and one per pair that stands out from chance, the largest share first; `with` is the second
    parameter of a pair. docs/importances.md describes the columns."""
    found = report.importances
    rows = [
        (
            row.names[0],
            row.names[1] if len(row.names) > 1 else None,
            found.roles.of(row.name) or None,
            *(getattr(row, column) for column in ("share", "low", "high", "chance", "applies_to", "trials")),
        )
        for row in (*found.rows, *found.pairs)
    ]
    return csv_text(IMPORTANCE_COLUMNS, rows, spreadsheet=spreadsheet)


def csv_text(header: Sequence[str], rows: Iterable[Iterable[Any]], *, spreadsheet: bool = False) -> str:
    """CSV text with Unix line ends."""
    lines = (",".join([cell(value, spreadsheet=spreadsheet) for value in row]) for row in (header, *rows))
    return "".join([f"{line}\n" for line in lines])


def cell(value: Any, *, spreadsheet: bool = False) -> str:
    """One value as CSV text: empty for None and NaN, `repr` for floats, `true` and `false` for booleans; text is quoted
    where needed."""
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = without_formula(value) if spreadsheet and isinstance(value, str) else str(value)
    # Python's own writer does not quote a carriage return, at which readers end the row.
    return '"' + text.replace('"', '""') + '"' if QUOTED.search(text) else text


def without_formula(value: str) -> str:
    """The text with an apostrophe in front if a spreadsheet would compute it."""
    return f"'{value}" if FORMULA.match(value) and not NUMBER.fullmatch(value) else value
