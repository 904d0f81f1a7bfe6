"""The CSV files of a report: every number as Python's repr writes it, so that reading it back gives the same float.

`trials.csv` holds no times and no dates: two runs with the same seed give the same bytes. Times are in `epochs.csv`,
last column.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

BEFORE_PARAMETERS = ("number", "state", "value", "spread")
AFTER_PARAMETERS = ("epochs", "best_epoch", "model_parameters", "optimizer_state_bytes", "ended")
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


def trials_csv(report: StudyReport) -> str:
    """One row per trial, by number; the parameters in alphabetical order, empty where not active."""
    rows = (
        [
            *(getattr(trial, column) for column in BEFORE_PARAMETERS),
            *(trial.params.get(name) for name in report.parameters),
            *(getattr(trial, column) for column in AFTER_PARAMETERS),
        ]
        for trial in report.trials
    )
    return write([*BEFORE_PARAMETERS, *report.parameters, *AFTER_PARAMETERS], rows)


def epochs_csv(report: StudyReport) -> str:
    """One row per trial, replica and epoch; metrics in alphabetical order, seconds last."""
    frame = report.epochs
    metrics = sorted(set(frame.columns) - {*EPOCH_COLUMNS, "seconds"})
    columns = [*EPOCH_COLUMNS, *metrics, "seconds"]
    ordered = frame.sort_values(["number", "replica", "epoch"])[columns]
    return write(columns, zip(*(ordered[column].tolist() for column in columns), strict=True))


def write(header: Sequence[str], rows: Iterable[Iterable[Any]]) -> str:
    """CSV text with unix line ends."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def cell(value: Any) -> str:
    """One value as CSV text: nothing for None and NaN, repr for floats, true and false as in the study file."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)
