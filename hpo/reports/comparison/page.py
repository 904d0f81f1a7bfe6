"""A comparison as one HTML page that opens offline. The curves are drawn here as SVG, so that the page stays small."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from hpo import __version__
from hpo.reports.comparison.columns import COLUMNS, FURTHER
from hpo.reports.comparison.incumbent import Incumbents
from hpo.reports.comparison.scores import SOURCES
from hpo.reports.comparison.shown import chosen, shown, with_interval
from hpo.reports.comparison.table import Comparison
from hpo.reports.render.environment import environment
from hpo.reports.text import format_number, label

WIDTH, HEIGHT = 720, 320
"""Of the drawing, in its own units."""
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 44
"""Room for axes beside the curves."""
TICKS = 5
DASHES = ("", "6 4", "2 3", "10 4 2 4", "1 5")
"""Of lines of the same colour, so that colours alone need not be told apart."""
HEADS: dict[str, str] = {
    "rank": "Rank",
    "score": "Score",
    "difference": "Difference to the first",
    "p": "p",
    "p_holm": "p, adjusted",
    "beats_first": "Beats the first",
    "method": "Computed",
    "trials_to_first": "Trials to the first's",
    "epochs_to_first": "Epochs to the first's",
    "area": "Best so far, mean",
    "epochs": "Epochs",
}
"""Columns of the page's first table, and their headings."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A drawn curve."""

    name: str
    path: str
    """Of SVG."""
    colour: int
    """Number of its colour in the style sheet, from 0."""
    dash: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tick:
    """A mark on an axis."""

    at: float
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawing:
    """The best so far of some rows over epochs."""

    lines: tuple[Line, ...]
    legend: tuple[Line, ...]
    """One line of each row."""
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    title: str
    """For readers who do not see it."""


def page(comparison: Comparison) -> str:
    """The whole page as text."""
    from markupsafe import Markup

    told = [name for name in HEADS if any(cell.get(name) is not None for cell in comparison.cells)]
    heads = {name: HEADS[name] for name in told if name != "p_holm" or len(comparison.cells) > 2}
    template = environment().get_template("compare.html.j2")
    return template.render(
        version=__version__,
        css=Markup((files("hpo.reports.render") / "templates" / "report.css").read_text()),
        comparison=comparison,
        metric=label(comparison.measure.name),
        heads=heads,
        rows=[(cell["study"], [with_interval(cell, name) for name in heads]) for cell in comparison.cells],
        sources={name: text for name, text in SOURCES.items() if name in {c["scores_of"] for c in comparison.cells}},
        drawing=drawing(comparison),
        shown=shown(comparison),
        columns=COLUMNS | FURTHER,
        size={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM},
    )


def drawing(comparison: Comparison) -> Drawing | None:
    """The curves of the first row and the best others; None where there are none. A row of several studies has a line
    for each, all alike."""
    if not comparison.curves:
        return None
    drawn = [
        (place, of, curve)
        for of, place in enumerate(chosen(comparison))
        for curve in comparison.curves[place]
        if curve.steps
    ]
    if not drawn:
        return None
    values = [step.value for _, _, curve in drawn for step in curve.steps]
    low, high = min(values), max(values)
    if low == high:
        low, high = low - abs(low or 1.0) / 2, high + abs(high or 1.0) / 2
    most = max(curve.epochs for _, _, curve in drawn)

    def x_of(epochs: float) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * epochs / most, 1)

    def y_of(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low), 1)

    names = [str(cell["study"]) for cell in comparison.cells]
    lines = tuple(
        Line(name=names[place], path=_path(curve, x_of, y_of), colour=of % 5, dash=DASHES[of // 5 % len(DASHES)])
        for place, of, curve in drawn
    )
    told = dict.fromkeys(names[place] for place, _, _ in drawn)
    ends = [f"{name} ends at {format_number(_end(comparison.curves[names.index(name)]))}" for name in told]
    return Drawing(
        lines=lines,
        legend=tuple({(line.colour, line.dash): line for line in lines}.values()),
        x=tuple(Tick(at=x_of(e), text=f"{e:,}") for e in sorted({round(most * i / TICKS) for i in range(TICKS + 1)})),
        y=tuple(
            Tick(at=y_of(value), text=format_number(float(value)))
            for value in (low + (high - low) * i / TICKS for i in range(TICKS + 1))
        ),
        title=f"Best {label(comparison.measure.name)} so far over epochs: {'; '.join(ends)}.",
    )


def _end(curves: Sequence[Incumbents]) -> float | None:
    finals = [curve.final for curve in curves if curve.final is not None]
    return sum(finals) / len(finals) if finals else None


def _path(curve: Incumbents, x_of: Any, y_of: Any) -> str:
    first, *others = curve.steps
    steps = "".join(f"H{x_of(step.epochs)}V{y_of(step.value)}" for step in others)
    return f"M{x_of(first.epochs)} {y_of(first.value)}{steps}H{x_of(curve.epochs)}"
