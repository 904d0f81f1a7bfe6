"""The two tables of a report, of trials and of epochs, and the order of their columns in CSV files and data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hpo.registry.read import EPOCH_COLUMNS

if TYPE_CHECKING:
    from collections.abc import Set

    import pandas as pd

    from hpo.reports.facts import StudyReport
    from hpo.reports.trials import TrialRow

BEFORE_PARAMETERS = ("number", "state", "value", "level", "spread")
WHOLE = ("epochs", "best_epoch", "model_parameters", "optimizer_state_bytes")
"""Columns of trials with whole numbers, some of which may be missing."""
PARETO = "pareto"
"""Column that says whether a trial is on the Pareto front."""
AFTER_PARAMETERS = (*WHOLE, "ended")


def trial_columns(report: StudyReport) -> list[str]:
    """Names of the columns of the trials' table; the parameters are in alphabetical order."""
    return [*BEFORE_PARAMETERS, *further_columns(report), *report.parameters, *AFTER_PARAMETERS]


def further_columns(report: StudyReport) -> list[str]:
    """Columns of the objectives after the first, and of the Pareto front; none with one objective."""
    return [*(f"value.{name}" for name in report.objectives[1:]), PARETO] if len(report.objectives) > 1 else []


def trial_cells(report: StudyReport) -> list[list[Any]]:
    """One row per trial, by number; None where a parameter is not active."""
    parameters, front = report.parameters, {trial.number for trial in report.front}
    return [
        [
            *(getattr(trial, column) for column in BEFORE_PARAMETERS),
            *_further_cells(report, trial, front),
            *(trial.params.get(name) for name in parameters),
            *(getattr(trial, column) for column in WHOLE),
            str(trial.ended),
        ]
        for trial in report.trials
    ]


def _further_cells(report: StudyReport, trial: TrialRow, front: Set[int]) -> list[float | bool | None]:
    further = len(report.objectives) - 1
    values = trial.further if len(trial.further) == further else (None,) * further
    return [*values, trial.number in front] if further else []


def epoch_columns(report: StudyReport) -> list[str]:
    """Names of the columns of the epochs' table: metrics in alphabetical order, seconds last."""
    *first, seconds = EPOCH_COLUMNS
    return [*first, *sorted(set(report.epochs) - set(EPOCH_COLUMNS)), seconds]


def trials_frame(report: StudyReport) -> pd.DataFrame:
    """One row per trial, by number; missing values are NaN or `pandas.NA`."""
    import pandas as pd

    frame = pd.DataFrame(trial_cells(report), columns=trial_columns(report))
    further = further_columns(report)
    types: dict[Any, Any] = dict.fromkeys(further[:-1], "float64") | dict.fromkeys(further[-1:], "bool")
    types |= {"number": "int64", **dict.fromkeys(BEFORE_PARAMETERS[2:], "float64"), **dict.fromkeys(WHOLE, "Int64")}
    return frame.astype(types)


def epochs_frame(report: StudyReport) -> pd.DataFrame:
    """One row per trial, replica and epoch; the columns of `epoch_columns`."""
    return report.epochs.frame()[epoch_columns(report)]
