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

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

BEFORE_PARAMETERS = ("number", "state", "value", "spread")
AFTER_PARAMETERS = ("epochs", "best_epoch", "model_parameters", "optimizer_state_bytes", "ended")
FORMULA = re.compile(r"[=+\-@\t\r\n]")
"""How text begins that a spreadsheet computes, or whose beginning it may skip."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
"""Text that is a number to a spreadsheet."""
EPOCH_COLUMNS = (
    "number",
    "replica",
    "epoch",
    "objective",
    "train_loss",
    "valid_loss",
    "learning_rate",
    "gradient_norm",
)


def trials_csv(report: StudyReport, *, spreadsheet: bool = False) -> str:
    """One row per trial, by number; the parameters in alphabetical order, empty where not active."""
    rows = (
        [
            *(getattr(trial, column) for column in BEFORE_PARAMETERS),
            *(trial.params.get(name) for name in report.parameters),
            *(getattr(trial, column) for column in AFTER_PARAMETERS),
        ]
        for trial in report.trials
    )
    return write([*BEFORE_PARAMETERS, *report.parameters, *AFTER_PARAMETERS], rows, spreadsheet=spreadsheet)


def epochs_csv(report: StudyReport, *, spreadsheet: bool = False) -> str:
    """One row per trial, replica and epoch; metrics in alphabetical order, seconds last."""
    frame = report.epochs
    metrics = sorted(set(frame.columns) - {*EPOCH_COLUMNS, "seconds"})
    columns = [*EPOCH_COLUMNS, *metrics, "seconds"]
    ordered = frame.sort_values(["number", "replica", "epoch"])[columns]
    return write(columns, zip(*(ordered[column].tolist() for column in columns), strict=True), spreadsheet=spreadsheet)


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
