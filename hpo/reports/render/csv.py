"""The CSV files of a report: every number as Python's repr writes it, so that reading it back gives the same float.

`trials.csv` holds no times and no dates: two runs with the same seed give the same bytes. Times are in `epochs.csv`,
last column.

A cell of text that begins like a formula is one to a spreadsheet. With `spreadsheet` it gets an apostrophe in front, as
spreadsheets write text themselves; numbers stay as they are. Without, every cell is what was measured or written.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hpo.reports.tables import epochs_frame, trial_cells, trial_columns

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

FORMULA = re.compile(r"[=+\-@\t\r\n]")
"""How text begins that a spreadsheet computes, or whose beginning it may skip."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""Text that is a number to a spreadsheet."""


def trials_csv(report: StudyReport, *, spreadsheet: bool = False) -> str:
    """One row per trial, by number; the parameters in alphabetical order, empty where not active."""
    return write(trial_columns(report), trial_cells(report), spreadsheet=spreadsheet)


def epochs_csv(report: StudyReport, *, spreadsheet: bool = False) -> str:
    """One row per trial, replica and epoch; metrics in alphabetical order, seconds last."""
    frame = epochs_frame(report)
    cells = zip(*(frame[column].tolist() for column in frame), strict=True)
    return write(list(frame.columns), cells, spreadsheet=spreadsheet)


def write(header: Sequence[str], rows: Iterable[Iterable[Any]], *, spreadsheet: bool = False) -> str:
    """CSV text with unix line ends."""
    lines = (
        ",".join(_quoted(cell(as_text(value) if spreadsheet and isinstance(value, str) else value)) for value in row)
        for row in (header, *rows)
    )
    return "".join(f"{line}\n" for line in lines)


def _quoted(text: str) -> str:
    """Python's own writer leaves a carriage return bare, at which readers end the row."""
    return '"' + text.replace('"', '""') + '"' if any(mark in text for mark in ',"\r\n') else text


def as_text(value: str) -> str:
    """The text so that a spreadsheet does not compute it."""
    return f"'{value}" if FORMULA.match(value) and not NUMBER.fullmatch(value) else value


def cell(value: Any) -> str:
    """One value as CSV text: nothing for None and NaN, repr for floats, true and false as in the study file."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
