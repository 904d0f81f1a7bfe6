"""Comparison of several studies, one row each: quality, cost of the search, and the winner. Nothing is printed here."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hpo.reports.facts import StudyReport, gather
from hpo.reports.render.build import write_text
from hpo.reports.render.csv import csv_text
from hpo.reports.trials import ranked

if TYPE_CHECKING:
    import pandas as pd

    from hpo.storage.store import Store


def compare(store: Store, names: Sequence[str]) -> pd.DataFrame:
    """One row per study in the order given, with the columns of `comparison_row`. An unknown name raises
    StudyStateError."""
    return comparison_table([gather(store, name) for name in names])


def comparison_table(reports: Sequence[StudyReport]) -> pd.DataFrame:
    """One row per report; test metrics, baselines and winners' parameters of all studies come last, in alphabetical
    order."""
    import pandas as pd

    rows = [comparison_row(report) for report in reports]
    first = [name for name in row_names(rows) if "." not in name]
    last = sorted(name for name in row_names(rows) if "." in name)
    return pd.DataFrame(
        [[r.get(name) for name in [*first, *last]] for r in rows], columns=[*first, *last], dtype=object
    )


def row_names(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Every key once, in order of appearance."""
    return list(dict.fromkeys(name for r in rows for name in r))


def comparison_row(report: StudyReport) -> dict[str, Any]:
    """A study as one row. `others` counts trials of other programs; it is there only if there are any.

    `trials_to_best` and `epochs_to_best` count the trials up to the winner's number, so that a repeated study has the
    same row. `seconds_to_best` is wall time, without pauses between restarts. `baseline.NAME` and `test_baseline.NAME`
    are the objective of a simple model on the validation and the test part. `confirmed` is the mean of the winner's
    repeats, `confirmed_low` and `confirmed_high` the ends of its 95 % interval; they are there only where a winner was
    confirmed.
    """
    finished = [trial.value for trial in ranked(report.trials, report.minimized) if trial.value is not None]
    winner = report.winner
    until = [trial for trial in report.trials if winner and trial.number <= winner.number]
    return {
        "study": report.name,
        "objective": report.objective,
        "direction": report.direction,
        "best": winner.value if winner else None,
        "median": statistics.median(finished) if finished else None,
        "finished": report.counts.finished,
        "pruned": report.counts.pruned,
        "failed": report.counts.failed,
        **({"others": len(report.foreign)} if report.foreign else {}),
        "epochs": report.epochs_spent,
        "trials_to_best": len(until) if winner else None,
        "epochs_to_best": sum(trial.epochs for trial in until) if winner else None,
        "seconds_to_best": seconds_to_best(report),
        "seconds": report.wall_seconds,
        "seconds_training": report.train_seconds,
        "winner": winner.number if winner else None,
        "models": report.models,
        **_confirmed(report),
        **{f"test.{name}": value for name, value in report.test.items()},
        **{f"test_ensemble.{name}": value for name, value in report.test_ensemble.items()},
        **{
            f"{part}.{one.name}": scores[report.objective]
            for one in report.baselines
            for part, scores in (("baseline", one.validation), ("test_baseline", one.test))
            if report.objective in scores
        },
        **{f"winner.{name}": value for name, value in (winner.params.items() if winner else ())},
    }


def _confirmed(report: StudyReport) -> dict[str, float]:
    """The mean of the winner's repeats and the ends of its interval; empty where it was not confirmed."""
    if report.confirmation is None:
        return {}
    value = report.confirmation.value
    return {"confirmed": value.mean, "confirmed_low": value.low, "confirmed_high": value.high}


def seconds_to_best(report: StudyReport) -> float | None:
    """Seconds from the start of the first trial to the end of the winner, at most the time that the study ran; None if
    unknown."""
    starts = [trial.started.timestamp() for trial in report.trials if trial.started is not None]
    if report.winner is None or report.winner.completed is None or not starts:
        return None
    seconds = report.winner.completed.timestamp() - min(starts)
    return min(seconds, report.wall_seconds) if report.wall_seconds else seconds


def caution(frame: pd.DataFrame) -> str | None:
    """A warning if the values of the rows cannot be compared; else None."""
    objectives = sorted(set(frame["objective"]))
    if len(objectives) > 1:
        return f"The studies have different objectives ({', '.join(objectives)}): their values do not compare."
    return None


def compare_csv(frame: pd.DataFrame, *, spreadsheet: bool = False) -> str:
    """The comparison as CSV text."""
    return csv_text(list(frame.columns), frame.itertuples(index=False, name=None), spreadsheet=spreadsheet)


def write_compare_csv(frame: pd.DataFrame, path: Path, *, spreadsheet: bool = False) -> None:
    """Write the comparison as a CSV file. Raises MachineError if it cannot be written."""
    write_text(path, compare_csv(frame, spreadsheet=spreadsheet), "Give another file with --csv.")
