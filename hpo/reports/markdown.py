"""The report as a short Markdown page for notes and reviews. No computing of facts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from hpo.reports.text import duration, label, number, share, training, units

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport


def summary(report: StudyReport) -> str:
    """Winner, figures, warnings, best configurations and importances."""
    sections = [
        f"# {report.name}",
        *_winner(report),
        *_figures(report),
        *_warnings(report),
        *_best(report),
        *_importances(report),
    ]
    return "\n\n".join(sections) + "\n"


def _winner(report: StudyReport) -> Iterable[str]:
    winner = report.winner
    if winner is None:
        yield "No trial has finished, so there is no winner."
        return
    colon = ":" if report.models > 1 else ""
    scores = [f"{name}{colon} {value}" for name, value in report.scores_on_test(report.objective)]
    tested = ", ".join(scores) or "not scored on a test part"
    yield (
        f"Winner: trial {winner.number}, validation {label(report.objective)} {number(winner.value)} "
        f"({report.direction}d), {tested}."
    )
    yield table(
        ("parameter", "value"), [(f"`{name}`", number(winner.params[name], 6)) for name in sorted(winner.params)]
    )


def _figures(report: StudyReport) -> Iterable[str]:
    counts = report.counts
    rows = [
        ("trials ended", str(counts.ended)),
        ("finished / pruned / failed", f"{counts.finished} / {counts.pruned} / {counts.failed}"),
        *([("still running", str(counts.running))] if counts.running else []),
        ("epochs trained", str(report.epochs_spent)),
        (
            "wall time",
            f"{duration(report.wall_seconds)}, "
            + training(report.train_seconds, report.wall_seconds, shared=report.shared),
        ),
        ("seed", str(report.seed)),
        *(line for name in sorted(report.test) for line in report.scores_on_test(name)),
    ]
    yield "## Figures"
    yield table(("what", "value"), rows)
    if report.test and (said := units(report.circumstances.get("task"))):
        yield said


def _warnings(report: StudyReport) -> Iterable[str]:
    if report.cautions:
        yield "## Warnings"
        yield "\n".join(f"- {' '.join(caution.split())}" for caution in report.cautions)


def _best(report: StudyReport) -> Iterable[str]:
    if not report.top:
        return
    names = [name for name in report.parameters if any(name in trial.params for trial in report.top)]
    rows = [
        (
            str(trial.number),
            number(trial.value),
            str(trial.epochs),
            *(number(trial.params.get(name)) for name in names),
        )
        for trial in report.top
    ]
    yield "## Best configurations"
    yield table(("trial", label(report.objective), "epochs", *(f"`{name}`" for name in names)), rows)


def _importances(report: StudyReport) -> Iterable[str]:
    yield "## Parameter importances"
    yield report.importances.note
    if report.importances.shares:
        yield table(("parameter", "importance"), [(f"`{n}`", share(s)) for n, s in report.importances.shares])


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a bar inside a cell is escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
