"""The two tables of a report, of trials and of epochs: their columns, in the order in which everybody gets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from hpo.reports.facts import StudyReport

BEFORE_PARAMETERS = ("number", "state", "value", "spread")
WHOLE = ("epochs", "best_epoch", "model_parameters", "optimizer_state_bytes")
"""Columns of trials with whole numbers, some of which may be missing."""
AFTER_PARAMETERS = (*WHOLE, "ended")
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


def trial_columns(report: StudyReport) -> list[str]:
    """The parameters stand in alphabetical order."""
    return [*BEFORE_PARAMETERS, *report.parameters, *AFTER_PARAMETERS]


def trial_cells(report: StudyReport) -> list[list[Any]]:
    """One row per trial, by number; None where a parameter is not active."""
    return [
        [
            *(getattr(trial, column) for column in BEFORE_PARAMETERS),
            *(trial.params.get(name) for name in report.parameters),
            *(getattr(trial, column) for column in WHOLE),
            str(trial.ended),
        ]
        for trial in report.trials
    ]


def trials_frame(report: StudyReport) -> pd.DataFrame:
    """One row per trial, by number; what there is not is missing."""
    import pandas as pd

    frame = pd.DataFrame(trial_cells(report), columns=trial_columns(report))
    types = {"number": "int64", "value": "float64", "spread": "float64", **dict.fromkeys(WHOLE, "Int64")}
    return frame.astype(types)


def epochs_frame(report: StudyReport) -> pd.DataFrame:
    """One row per trial, replica and epoch; metrics in alphabetical order, seconds last."""
    metrics = sorted(set(report.epochs.columns) - {*EPOCH_COLUMNS, "seconds"})
    ordered = report.epochs.sort_values(["number", "replica", "epoch"], ignore_index=True)
    return ordered[[*EPOCH_COLUMNS, *metrics, "seconds"]]
