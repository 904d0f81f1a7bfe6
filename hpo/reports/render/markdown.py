"""The report as a short Markdown page for notes and reviews. No computing of facts.

What a user, a file or an error wrote is text: `escaped` and `code` keep it from being HTML or Markdown.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hpo.reports.text import duration, label, number, share, training, units

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""What begins emphasis, code, links, cells, struck text or formulas within a line."""
LINKING = re.compile(r"[&<>@#]|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""What begins HTML, and what hosts of code turn into links by themselves."""
BEGINNING = re.compile(r"^(\d*)([-+=.)])(?=\s|[-=]|$)")
"""What begins a list or a heading's underline at the start of a line."""


def summary(report: StudyReport) -> str:
    """Winner, figures, warnings, best configurations and importances."""
    sections = [
        f"# {escaped(report.name)}",
        *_winner(report),
        *_figures(report),
        *_warnings(report),
        *_best(report),
        *_importances(report),
    ]
    return "\n\n".join(sections) + "\n"


def escaped(text: str) -> str:
    """The text in one line, for a place within a paragraph or a cell."""
    marked = MARKS.sub(lambda found: f"\\{found[0]}", _line(text))
    # An entity's own marks come in after those of the text have been escaped.
    return LINKING.sub(lambda found: f"&#{ord(found[0])};", marked)


def code(text: str) -> str:
    """The text in one line as code, fenced by more backticks than it holds."""
    line = _line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def sentence(text: str) -> str:
    """A paragraph or list item in one line: a sentence of this package, with code between backticks, that may quote
    anything."""
    pieces = re.split(r"`([^`]+)`", text.strip())
    inside = "".join(code(piece) if i % 2 else escaped(piece) for i, piece in enumerate(pieces))
    return BEGINNING.sub(r"\1\\\2", inside)


def _line(text: str) -> str:
    """Without line breaks and other control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)


def _winner(report: StudyReport) -> Iterable[str]:
    winner = report.winner
    if winner is None:
        yield "No trial has finished, so there is no winner."
        return
    colon = ":" if report.models > 1 else ""
    scores = [f"{escaped(name)}{colon} {value}" for name, value in report.scores_on_test(report.objective)]
    tested = ", ".join(scores) or "not scored on a test part"
    yield (
        f"Winner: trial {winner.number}, validation {_label(report)} {number(winner.value)} "
        f"({report.direction}d), {tested}."
    )
    yield table(
        ("parameter", "value"), [(code(name), _value(winner.params[name], 6)) for name in sorted(winner.params)]
    )


def _figures(report: StudyReport) -> Iterable[str]:
    counts = report.counts
    rows = [
        ("trials ended", str(counts.ended)),
        ("finished / pruned / failed", f"{counts.finished} / {counts.pruned} / {counts.failed}"),
        *([("not ended", str(counts.running))] if counts.running else []),
        ("epochs trained", str(report.epochs_spent)),
        (
            "wall time",
            f"{duration(report.wall_seconds)}, "
            + training(report.train_seconds, report.wall_seconds, shared=report.shared),
        ),
        ("seed", str(report.seed)),
        *((escaped(name), value) for metric in sorted(report.test) for name, value in report.scores_on_test(metric)),
    ]
    yield "## Figures"
    yield table(("what", "value"), rows)
    if report.test and (said := units(report.task)):
        yield said


def _warnings(report: StudyReport) -> Iterable[str]:
    if report.cautions:
        yield "## Warnings"
        yield "\n".join(f"- {sentence(caution)}" for caution in report.cautions)


def _best(report: StudyReport) -> Iterable[str]:
    if not report.top:
        return
    names = [name for name in report.parameters if any(name in trial.params for trial in report.top)]
    rows = [
        (
            str(trial.number),
            number(trial.value),
            str(trial.epochs),
            *(_value(trial.params.get(name)) for name in names),
        )
        for trial in report.top
    ]
    yield "## Best configurations"
    yield table(("trial", _label(report), "epochs", *map(code, names)), rows)


def _importances(report: StudyReport) -> Iterable[str]:
    yield "## Parameter importances"
    yield sentence(report.importances.note)
    if report.importances.shares:
        yield table(("parameter", "importance"), [(code(n), share(s)) for n, s in report.importances.shares])


def _label(report: StudyReport) -> str:
    return escaped(label(report.objective))


def _value(value: Any, digits: int = 4) -> str:
    return escaped(number(value, digits))


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table of cells that are Markdown already. A bar in code would end the cell all the same."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in line) + " |" for line in lines)
