"""The report as one HTML page that opens offline: inserts facts and figures into the template. Computes no facts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from hpo.paths import argument, run_command, submit_command
from hpo.reports.health import counted
from hpo.reports.render import figures
from hpo.reports.render.confirmation import sentences
from hpo.reports.render.curves import Curves, curves_of
from hpo.reports.text import (
    STATES,
    describe_training,
    format_bytes,
    format_duration,
    format_number,
    format_share,
    label,
    plural,
    units,
)

if TYPE_CHECKING:
    from markupsafe import Markup
    from plotly.graph_objects import Figure

    from hpo.reports.facts import StudyReport
    from hpo.reports.parts import BalanceRow

CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True}
SCRIPTS = ("smoothing.js", "numbers.js", "report.js")
MOST_SLICES = 24
"""Parameters with a slice plot; the most important come first."""


def render(report: StudyReport) -> str:
    """The whole page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=PackageLoader("hpo.reports.render"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=format_number,
        share=format_share,
        duration=format_duration,
        training=describe_training,
        label=label,
        size=format_bytes,
        plural=plural,
    )
    environment.filters["marked"] = marked
    environment.filters["counted"] = counted
    scripts = files("hpo.reports.render") / "templates"

    def figure(plot: Figure, name: str) -> Markup:
        # plotly escapes "<" and "/" in its JSON, so a parameter's value cannot end the script.
        text = plot.to_html(full_html=False, include_plotlyjs=False, div_id=f"figure-{name}", config=CONFIG)
        return Markup(text)

    curves = curves_of(report)
    slices = sliced_parameters(report)
    return environment.get_template("report.html.j2").render(
        report=report,
        states=STATES,
        plotly=Markup(get_plotlyjs()),
        css=Markup((scripts / "report.css").read_text()),
        scripts=Markup("".join((scripts / name).read_text() for name in SCRIPTS)),
        history=figure(figures.history_figure(report), "history") if report.history else "",
        wild_values=figures.robust_range([p.value for p in report.history if p.value is not None]),
        curves=curves,
        curve_figure=figure(figures.learning_curves_figure(), "curves") if curves.curves else "",
        curve_data=curve_data(report, curves),
        importances=figure(figures.importances_figure(report), "importances") if report.importances.shares else "",
        slices=[(name, figure(figures.slice_figure(report, name), f"slice-{i}")) for i, name in enumerate(slices)],
        slices_omitted=len(report.parameters) - len(slices),
        top_parameters=[name for name in report.parameters if any(name in trial.params for trial in report.top)],
        confirmed=sentences(report.confirmation, report.objective) if report.confirmation else [],
        balance=balance_table(report.balance),
        looks=len(report.looks),
        commands=commands(report),
        units=units(report.task),
    )


def marked(sentence: str) -> Markup:
    """A sentence as HTML, in which text between backticks becomes code."""
    from markupsafe import Markup, escape

    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(sentence))))


def sliced_parameters(report: StudyReport) -> list[str]:
    """Parameters to plot, by importance and then by name."""
    important = [name for name, _ in report.importances.shares]
    return [*important, *(name for name in report.parameters if name not in important)][:MOST_SLICES]


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
        *(
            []
            if report.function
            else [
                (f"hpo export {name} -o {argument(report.name + '-winner')}", "takes the winner out as plain PyTorch")
            ]
        ),
    ]
