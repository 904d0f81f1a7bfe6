"""The report as a short Markdown page for notes and reviews. Computes no facts.

Texts of users, files and errors must not act as HTML or Markdown: `escaped` and `code` see to that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from hpo.reports.edits import edit_sentences
from hpo.reports.health import counted
from hpo.reports.render.confirmation import expected_sentence, refit_sentence, sentences
from hpo.reports.render.explanation import PAIR_HEADER, pair_cells, rung_cells, rung_header, rungs
from hpo.reports.render.explanation import sentences as explained
from hpo.reports.text import describe_training, format_duration, format_number, format_share, label, plural, units

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

MOST_SHOWN = 50
"""Trials of the Pareto front that the page shows at most."""
MARKS = re.compile(r"[\\`*\[\]|~$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""Characters that begin emphasis, code, links, cells, struck text or formulas within a line."""
LINKING = re.compile(r"[&<>@#]|:(?=//)|(?<=www)\.", re.IGNORECASE)
"""Characters that begin HTML, and those that GitHub and similar sites turn into links."""
BEGINNING = re.compile(r"^(\d*)([-+=.)])(?=\s|[-=]|$)")
"""Beginnings of a line that start a list, or that underline a heading."""


def summary(report: StudyReport) -> str:
    """Winner, figures, health checks, best configurations, importances, what to search next, and provenance."""
    sections = [
        f"# {escaped(report.name)}",
        *_winner(report),
        *_front(report),
        *_baselines(report),
        *_figures(report),
        *_edits(report),
        *_health(report),
        *_diagnosis(report),
        *_best(report),
        *_explanation(report),
        *_importances(report),
        *_next(report),
        *_provenance(report),
    ]
    return "\n\n".join(sections) + "\n"


def escaped(text: str) -> str:
    """The text on one line, escaped for use within a paragraph or a cell."""
    marked = MARKS.sub(lambda found: f"\\{found[0]}", _line(text))
    # Entities come second, because they contain characters that the first step would escape.
    return LINKING.sub(lambda found: f"&#{ord(found[0])};", marked)


def code(text: str) -> str:
    """The text on one line as code, between more backticks than it contains."""
    line = _line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall(r"`+", line)), default=0))
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def sentence(text: str) -> str:
    """A sentence of this package as a paragraph or list item: text between backticks becomes code, all else is
    escaped."""
    pieces = re.split(r"`([^`]+)`", text.strip())
    inside = "".join(code(piece) if i % 2 else escaped(piece) for i, piece in enumerate(pieces))
    return BEGINNING.sub(r"\1\\\2", inside)


def _line(text: str) -> str:
    """The text without line breaks and other control characters."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+", " ", text)


def _winner(report: StudyReport) -> Iterable[str]:
    winner = report.winner
    if winner is None:
        yield "No trial has finished, so there is no winner."
        return
    colon = ":" if report.models_of_winner > 1 else ""
    scores = [f"{escaped(name)}{colon} {value}" for name, value in report.scores_on_test(report.objective)]
    tested = "" if report.function else ", " + (", ".join(scores) or "not scored on a test part")
    yield (
        f"Winner: trial {winner.number}, {report.part}{_label(report)} {format_number(winner.value)} "
        f"({report.direction}d){tested}."
    )
    if report.confirmation is not None:
        yield escaped(" ".join(sentences(report.confirmation, report.objective)))
    elif report.ahead is not None:
        yield expected_sentence(winner.number, report.ahead)
    if report.refit is not None:
        yield escaped(refit_sentence(report.refit, tested=bool(report.test)))
    yield markdown_table(
        ("parameter", "value"), [(code(name), _value(winner.params[name], 6)) for name in sorted(winner.params)]
    )


def _front(report: StudyReport) -> Iterable[str]:
    if not report.front:
        return
    yield "## Pareto front"
    yield f"{plural(len(report.front), 'trial')}, none of which another one beats in all objectives."
    shown = report.front[:MOST_SHOWN]
    names = [name for name in report.parameters if any(name in trial.params for trial in shown)]
    rows = [
        (str(t.number), *map(format_number, t.values), *(_value(t.params.get(name)) for name in names)) for t in shown
    ]
    yield markdown_table(("trial", *(escaped(label(name)) for name in report.objectives), *map(code, names)), rows)


def _baselines(report: StudyReport) -> Iterable[str]:
    if rows := report.baseline_rows:
        yield "## Beside simple models"
        header = ("model", f"validation {_label(report)}", f"test {_label(report)}", "remark")
        yield markdown_table(header, [tuple(map(escaped, row)) for row in rows])


def _figures(report: StudyReport) -> Iterable[str]:
    counts = report.counts
    rows = [
        ("trials ended", str(counts.ended)),
        ("finished / pruned / failed", f"{counts.finished} / {counts.pruned} / {counts.failed}"),
        *([("not ended", str(counts.running))] if counts.running else []),
        ("epochs trained", str(report.epochs_spent)),
        (
            "wall time",
            f"{format_duration(report.wall_seconds)}, "
            + describe_training(report.train_seconds, report.wall_seconds, shared=report.shared),
        ),
        ("seed", str(report.seed)),
        *([("split", escaped(report.split))] if report.split else []),
        *((escaped(name), value) for metric in sorted(report.test) for name, value in report.scores_on_test(metric)),
    ]
    yield "## Figures"
    yield markdown_table(("what", "value"), rows)
    if report.test and (said := units(report.task)):
        yield said


def _edits(report: StudyReport) -> Iterable[str]:
    if report.edits:
        yield "## Edits"
        winner = report.winner.number if report.winner else None
        yield "\n".join(f"- {escaped(text)}" for text in edit_sentences(report.edits, winner))


def _health(report: StudyReport) -> Iterable[str]:
    yield "## Health"
    yield f"{counted(report.checks)}."
    rows = [
        (check.verdict.label, escaped(check.title), sentence(check.sentence), sentence(check.way_out))
        for check in report.checks
    ]
    yield markdown_table(("verdict", "check", "finding", "way out"), rows)


def _diagnosis(report: StudyReport) -> Iterable[str]:
    if report.signs:
        yield "## Diagnosis"
        rows = [
            (sign.title, sign.count, escaped(f"trial {sign.number}: {sign.example}"), escaped(sign.example.way_out))
            for sign in report.signs
        ]
        yield markdown_table(("sign", "trials", "for example", "what may help"), rows)


def _best(report: StudyReport) -> Iterable[str]:
    if not report.top:
        return
    names = [name for name in report.parameters if any(name in trial.params for trial in report.top)]
    rows = [
        (
            str(trial.number),
            format_number(trial.value),
            str(trial.epochs),
            *(_value(trial.params.get(name)) for name in names),
        )
        for trial in report.top
    ]
    yield "## Best configurations"
    yield markdown_table(("trial", _label(report), "epochs", *map(code, names)), rows)


def _explanation(report: StudyReport) -> Iterable[str]:
    found = report.explanation
    if found is None:
        return
    yield "## Why it is better"
    yield escaped(" ".join(explained(found, report.objectives)))
    rows = [tuple(map(escaped, ("; ".join(rung.details) or rung.title, *rung_cells(rung)))) for rung in rungs(found)]
    yield markdown_table(("step", *map(escaped, rung_header(report.objective))), rows)
    if found.pairs:
        yield markdown_table(PAIR_HEADER, [tuple(map(escaped, pair_cells(pair))) for pair in found.pairs])


def _importances(report: StudyReport) -> Iterable[str]:
    found = report.importances
    yield "## What mattered"
    yield sentence(found.note)
    if found.rows:
        header = ("parameter", "share", "95 % interval", "applies to")
        rows = [
            (
                " × ".join(map(code, row.names)),
                format_share(row.share),
                f"{format_share(row.low)} to {format_share(row.high)}",
                format_share(row.applies_to, 0),
            )
            for row in (*found.rows, *found.pairs)
        ]
        yield markdown_table(header, rows)


def _next(report: StudyReport) -> Iterable[str]:
    found = report.next
    if found is None:
        return
    yield "## What next"
    if not found.changes:
        yield "Nothing that this study found calls for other ranges, choices or budgets."
        return
    yield f"{code(found.command)} writes the next study with these changes."
    rows = [
        (code(change.path), escaped(change.before), escaped(change.after), escaped(change.why))
        for change in found.changes
    ]
    yield markdown_table(("setting", "now", "next", "why"), rows)


def _provenance(report: StudyReport) -> Iterable[str]:
    yield "## Provenance"
    rows = [(escaped(name), code(value) if value else "") for name, value in report.provenance.rows()]
    yield markdown_table(("what", "value"), rows)
    text = report.provenance.study_file
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]+", " ", text).rstrip()
    yield "The study file:"
    yield f"{fence}toml\n{text}\n{fence}"


def _label(report: StudyReport) -> str:
    return escaped(label(report.objective))


def _value(value: Any, digits: int = 4) -> str:
    return escaped(format_number(value, digits))


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table. The cells are Markdown already; vertical bars in them are escaped, also in code."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(re.sub(r"(?<!\\)\|", r"\\|", cell) for cell in line) + " |" for line in lines)
