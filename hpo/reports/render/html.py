"""The report as one HTML page that opens offline: inserts facts and figures into the template. Computes no facts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from hpo.paths import argument, run_command, submit_command
from hpo.reports.edits import edit_sentences
from hpo.reports.health import counted
from hpo.reports.render import figures, matters
from hpo.reports.render.confirmation import expected_sentence, refit_sentence, sentences
from hpo.reports.render.curves import Curves, curves_of
from hpo.reports.render.environment import environment
from hpo.reports.render.explanation import pair_cells, rungs
from hpo.reports.render.explanation import sentences as explained
from hpo.reports.text import (
    STATES,
    describe_training,
    format_bytes,
    format_share,
    label,
    units,
)

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

    from hpo.reports.facts import StudyReport
    from hpo.reports.parts import BalanceRow

SCRIPTS = ("numbers.js", "smoothing.js", "figures.js", "parallel.js", "report.js")
MOST_FRONT = 50
"""Trials of the Pareto front in its table."""
MOST_SLICES = 24
"""Parameters with a slice plot."""


@cache
def _template() -> Template:
    """The page's template, compiled once in a process."""
    made = environment()
    made.filters.update(share=format_share, training=describe_training, label=label, size=format_bytes)
    made.filters.update(marked=marked, breakable=breakable, counted=counted)
    return made.get_template("report.html.j2")


def render(report: StudyReport, *, refresh: int | None = None) -> str:
    """The whole page as text. `refresh`: seconds after which a browser is to load it again; None: never."""
    from markupsafe import Markup

    scripts = files("hpo.reports.render") / "templates"

    curves = curves_of(report)
    slices = report.ordered_parameters[:MOST_SLICES]
    return _template().render(
        report=report,
        refresh=refresh,
        states=STATES,
        css=Markup((scripts / "report.css").read_text()),
        scripts=Markup("".join((scripts / name).read_text() for name in SCRIPTS)),
        wild_values=figures.robust_range([p.value for p in report.history if p.value is not None]),
        curves=curves,
        curve_data=curve_data(report, curves),
        figure_data=figure_data(report, slices),
        importance_most=matters.most(report),
        importance_rows=matters.importance_rows(report),
        heat_maps=[matters.heat_table(map) for map in report.importances.heat_maps],
        isolations=[matters.isolation_plot(one) for one in report.importances.isolations],
        slices=slices,
        slices_omitted=len(report.parameters) - len(slices),
        front=report.front[:MOST_FRONT],
        front_parameters=[name for name in report.parameters if any(name in trial.params for trial in report.front)],
        top_parameters=[name for name in report.parameters if any(name in trial.params for trial in report.top)],
        edits=edit_sentences(report.edits, report.winner.number if report.winner else None),
        refit=refit_sentence(report.refit, tested=bool(report.test)) if report.refit else "",
        confirmed=sentences(report.confirmation, report.objective) if report.confirmation else [],
        expected=_expected(report),
        explanation=explanation_data(report),
        balance=balance_table(report.balance),
        looks=len(report.looks),
        commands=commands(report),
        units=units(report.task),
    )


def _expected(report: StudyReport) -> str:
    if report.winner is None or report.ahead is None:
        return ""
    return expected_sentence(report.winner.number, report.ahead)


def marked(sentence: str) -> Markup:
    """A sentence as HTML, in which text between backticks becomes code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


def breakable(name: str) -> Markup:
    """A name or a range as HTML that may go on in another line behind a dot or an underscore, or before "to"."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"([._])(?=[A-Za-z])", r"\1<wbr>", str(escape(name))).replace(" to ", " to&nbsp;"))


def figure_data(report: StudyReport, slices: Sequence[str]) -> dict[str, figures.Figure]:
    """The figures that the page's script draws, by the name of their place."""
    found = {"history": figures.history_figure(report)} if report.history else {}
    found |= {f"front-{place}": figure for place, figure in enumerate(figures.front_figures(report), 1)}
    if lines := figures.parallel_figure(report):
        found["parallel"] = lines
    return found | {f"slice-{place}": figures.slice_figure(report, name) for place, name in enumerate(slices)}


def curve_data(report: StudyReport, curves: Curves) -> dict[str, Any]:
    """The data from which the page's script draws and smooths the curves."""

    def group(state: str, rank: int | None) -> str:
        if rank == 0:
            return "winner"
        return {"COMPLETE": "finished", "PRUNED": "pruned"}.get(state, "other")

    labels = {name: label(name) for name in curves.measures}
    labels["objective"] = f"{report.part}{label(report.objective)} (objective)"
    return {
        "labels": labels,
        "curves": [
            {
                "number": curve.number,
                "rank": curve.rank,
                "group": group(curve.state, curve.rank),
                "epochs": curve.epochs,
                "series": curve.series,
            }
            for curve in curves.curves
        ],
    }


def explanation_data(report: StudyReport) -> dict[str, Any] | None:
    """What `hpo explain` found, with the places of the dots and intervals from 0 to 1."""
    found = report.explanation
    if found is None:
        return None
    lines = rungs(found)
    low, high = min(line.value.low for line in lines), max(line.value.high for line in lines)
    reach = (high - low) or 1.0
    rows = [
        {
            **{key: getattr(line, key) for key in ("title", "details", "value", "lost", "gain", "set_back")},
            "at": {key: round((getattr(line.value, key) - low) / reach, 4) for key in ("mean", "low", "high")},
        }
        for line in lines
    ]
    pairs = [pair_cells(pair) for pair in found.pairs]
    return {"sentences": explained(found, report.objectives), "rungs": rows, "pairs": pairs, "low": low, "high": high}


def balance_table(rows: Sequence[BalanceRow]) -> dict[str, Any]:
    """The table of the split balance: a row for each group, a column for each part, and the largest difference of a
    group's share between two parts."""
    parts = list(dict.fromkeys(row.part for row in rows))
    groups = list(dict.fromkeys(row.group for row in rows))
    cells = {(row.group, row.part): row for row in rows}
    body = []
    for group in groups:
        line = [cells.get((group, part)) for part in parts]
        shares = [cell.share if cell else 0.0 for cell in line]
        body.append({"group": group, "cells": line, "spread": max(shares) - min(shares)})
    totals = [sum(row.count for row in rows if row.part == part) for part in parts]
    return {"parts": parts, "rows": body, "totals": totals}


def commands(report: StudyReport) -> list[tuple[str, str]]:
    """(command, description) pairs of commands that repeat or use the study."""
    name = argument(report.name)
    again = "the study again in an empty home folder, or continues it in this one"
    return [
        (submit_command(report.source), f"has workers run {again}")
        if report.shared
        else (run_command(report.source), f"runs {again}"),
        (f"hpo report {name}", "writes this report again"),
        *([(report.next.command, "writes the file of the study after this one")] if report.next else []),
        (
            f"hpo export {name} -o {argument(report.name + '-winner')}",
            "takes out what its function saved last" if report.function else "takes the winner out as plain PyTorch",
        ),
    ]
