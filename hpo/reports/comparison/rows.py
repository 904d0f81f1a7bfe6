"""The columns of a comparison that describe one study alone: quality, cost of the search, and the winner; and what
stands there for a row of several studies. Compares nothing."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from hpo.reports.comparison.incumbent import in_order_of_ending
from hpo.reports.facts import StudyReport
from hpo.reports.trials import ranked


def comparison_row(report: StudyReport) -> dict[str, Any]:
    """A study as one row. `others` counts trials of other programs; it is there only if there are any.

    `trials_to_best` and `epochs_to_best` count the trials up to the winner's number, so that a repeated study has the
    same row. `seconds_to_best` is wall time, without pauses between restarts. `baseline.NAME` and `test_baseline.NAME`
    are the objective of a simple model on the validation and the test part. `confirmed` is the mean of the winner's
    repeats, `confirmed_low` and `confirmed_high` the ends of its 95 % interval; they are there only where a winner was
    confirmed.
    """
    finished = [trial.value for trial in ranked(report.trials, report.directions) if trial.value is not None]
    winner = report.winner
    trials = in_order_of_ending(report.trials)
    until = trials[: trials.index(winner) + 1] if winner in trials else []
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


def merged_row(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One row for several studies: the median of what the searches took to their best, the mean of all other numbers,
    and what all studies have in common where it is no measurement."""
    if len(rows) == 1:
        return rows[0]
    return {name: _merged(name, [row.get(name) for row in rows]) for name in row_names(rows)}


def _merged(name: str, values: Sequence[Any]) -> Any:
    same = all(value == values[0] for value in values)
    if same or name in ("winner", "models") or name.startswith(("winner.", "confirmed")):
        return values[0] if same else None
    numbers = [value for value in values if type(value) in (int, float)]
    if not numbers:
        return None
    return statistics.median(numbers) if "_to_" in name else statistics.fmean(numbers)


def row_names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Every key once, in order of appearance."""
    return list(dict.fromkeys(name for r in rows for name in r))


def seconds_to_best(report: StudyReport) -> float | None:
    """Seconds from the start of the first trial to the end of the winner, at most the time that the study ran; None if
    unknown."""
    starts = [trial.started.timestamp() for trial in report.trials if trial.started is not None]
    if report.winner is None or report.winner.completed is None or not starts:
        return None
    seconds = report.winner.completed.timestamp() - min(starts)
    return min(seconds, report.wall_seconds) if report.wall_seconds else seconds
