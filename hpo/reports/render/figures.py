"""What the report's figures show, as plain data that the page's own script draws. Computes no facts, draws nothing.

A figure is a dictionary: axes `x` and `y` (`title`, `kind`: linear, log or category, `categories`, `whole` where only
whole numbers are marked, and `range` where values far outside the rest are left out at first) and `layers` of points or
a line (`style`, `name`, `x`, `y`, and `trials`, their numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hpo.reports.importance.standing import tiers
from hpo.reports.render.curves import evenly
from hpo.reports.text import STATES, format_number, label

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from hpo.reports.facts import StudyReport
    from hpo.reports.trials import TrialRow

Figure = dict[str, Any]

MOST_HISTORY = 3000
MOST_SLICE = 400
"""Largest number of points in one slice plot, of finished and of pruned trials each."""
MOST_LINES = 1000
"""Largest number of trials in the parallel coordinates."""
MOST_AXES = 10
"""Largest number of parameters in the parallel coordinates."""
WIDE = 20
"""Ratio of the largest to the smallest value from which on an objective has a log scale."""
SHADES = 5
"""Colours by standing, see the page's style sheet."""


def shortened(value: float, digits: int = 6) -> float:
    """The value with so many significant digits, which exceed the resolution of a screen."""
    return float(f"{value:.{digits}g}")


def robust_range(values: Sequence[float]) -> list[float] | None:
    """An axis range without outliers; None if there are no outliers.

    Outliers lie outside the quartiles by more than three times their distance (Tukey's outer fence).
    """
    if len(values) < 8:
        return None
    ordered = sorted(values)
    first, third = ordered[len(ordered) // 4], ordered[3 * len(ordered) // 4]
    reach = 3.0 * (third - first)
    tame = [value for value in ordered if first - reach <= value <= third + reach]
    if reach == 0.0 or len(tame) == len(ordered):
        return None
    margin = 0.06 * (tame[-1] - tame[0])
    return [tame[0] - margin, tame[-1] + margin]


def history_figure(report: StudyReport) -> Figure:
    """Values by trial number, with the best so far as steps."""
    points = [point for point in report.history if point.value is not None and math.isfinite(point.value)]
    drawn = {trial.number for trial in evenly(report.trials, MOST_HISTORY)}
    layers: list[dict[str, Any]] = []
    for state, style in (("PRUNED", "pruned"), ("COMPLETE", "finished")):
        chosen = [point for point in points if point.state == state and point.number in drawn]
        layers.append(_points(style, STATES[state], [(p.number, p.number, p.value) for p in chosen]))
    steps = [p for i, p in enumerate(points) if p.best is not None and (i == 0 or p.best != points[i - 1].best)]
    if steps:
        ends = [*((p.number, p.best) for p in steps), (points[-1].number, steps[-1].best)]
        layers.append(
            {
                "kind": "steps",
                "style": "best",
                "name": "best so far",
                "x": [number for number, _ in ends],
                "y": [shortened(best or 0.0) for _, best in ends],
                "trials": [number for number, _ in ends],
            }
        )
    return {
        "height": 360,
        "x": {"title": "trial (number)", "kind": "linear", "whole": True},
        "y": {"title": _objective(report), "kind": "linear", "range": robust_range([p.value or 0.0 for p in points])},
        "layers": layers,
        "legend": True,
    }


def front_figures(report: StudyReport) -> list[Figure]:
    """The Pareto front: the first objective against each of the others. Where there are two, the front is a line of
    steps: what lies on its wrong side is worse than a trial of the front in both."""
    if not report.front:
        return []
    on_it = {trial.number for trial in report.front}
    others = evenly([trial for trial in report.best_first if trial.number not in on_it], MOST_HISTORY)
    return [_front_figure(report, others, place) for place in range(1, len(report.objectives))]


def _front_figure(report: StudyReport, others: Sequence[TrialRow], place: int) -> Figure:
    winner = [report.winner] if report.winner else []
    front = [trial for trial in report.front if trial not in winner]
    layers = [
        _points(style, name, [(t.number, shortened(t.values[place]), t.values[0]) for t in trials])
        for style, name, trials in (
            ("finished", "finished", others),
            ("front", "Pareto front", front),
            ("winner", "winner", winner),
        )
    ]
    if len(report.objectives) == 2:
        ends = sorted(report.front, key=lambda t: t.values[place], reverse=report.directions[place] == "maximize")
        steps = _points("front", "", [(t.number, shortened(t.values[place]), t.values[0]) for t in ends])
        layers.insert(1, {**steps, "kind": "steps", "hidden": True})
    shown = [*report.front, *others]
    values = [trial.values[place] for trial in shown]
    wide = min(values) > 0 and max(values) > WIDE * min(values)
    return {
        "height": 360,
        "x": {"title": label(report.objectives[place]), "kind": "log" if wide else "linear"},
        "y": {"title": _objective(report), "kind": "linear", "range": robust_range([t.values[0] for t in shown])},
        "layers": layers,
        "legend": True,
    }


def slice_figure(report: StudyReport, name: str) -> Figure:
    """Objective against one parameter; categories and booleans on a categorical axis."""
    owners = [t for t in report.trials if name in t.params and t.value is not None and math.isfinite(t.value)]
    axis = axis_of(name, owners[0].distributions[name]) if owners else {"title": name, "kind": "linear"}
    layers = []
    winner = report.winner.number if report.winner else None
    for style, trials in (
        ("pruned", [t for t in owners if t.state == "PRUNED"]),
        ("finished", [t for t in owners if t.state == "COMPLETE" and t.number != winner]),
        ("winner", [t for t in owners if t.number == winner]),
    ):
        drawn = evenly(trials, MOST_SLICE)
        points = [(trial.number, place_of(trial.params[name], axis), trial.value) for trial in drawn]
        layers.append(_points(style, style, points))
    return {
        "height": 240,
        "x": axis,
        "y": {
            "title": _objective(report),
            "kind": "linear",
            "range": robust_range([trial.value for trial in owners if trial.value is not None]),
        },
        "layers": layers,
        "legend": False,
    }


def parallel_figure(report: StudyReport) -> Figure | None:
    """Every trial as a line over the parameters and the objective; None with fewer than two trials to show."""
    ranked = [
        trial
        for tier in tiers(report.trials, minimized=report.minimized, last=report.last)
        for trial in tier
        if trial.value is not None and math.isfinite(trial.value)
    ]
    shown = evenly(ranked, MOST_LINES)
    names = [name for name in report.ordered_parameters if any(name in trial.params for trial in shown)][:MOST_AXES]
    if len(shown) < 2 or not names:
        return None
    axes = []
    for name in names:
        drawn = next(trial.distributions[name] for trial in shown if name in trial.params)
        axis = axis_of(name, drawn)
        axis["values"] = [place_of(t.params[name], axis) if name in t.params else None for t in shown]
        axes.append(axis)
    values = [trial.value or 0.0 for trial in shown]
    wild = robust_range(values) or [-math.inf, math.inf]
    kept = [shortened(min(max(value, wild[0]), wild[1])) for value in values]
    axes.append({"title": _objective(report), "kind": "linear", "values": kept})
    return {
        "omitted": len(ranked) - len(shown),
        "trials": [trial.number for trial in shown],
        "shades": [place * SHADES // len(shown) for place in range(len(shown))],
        "scores": list(map(shortened, values)),
        "less": report.minimized,
        "axes": axes,
    }


def axis_of(name: str, drawn: BaseDistribution) -> dict[str, Any]:
    """The axis of a parameter."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(drawn, CategoricalDistribution):
        categories = list(dict.fromkeys(format_number(option) for option in drawn.choices))
        return {"title": name, "kind": "category", "categories": categories}
    log = isinstance(drawn, FloatDistribution | IntDistribution) and drawn.log
    return {"title": name, "kind": "log" if log else "linear", "whole": isinstance(drawn, IntDistribution)}


def place_of(value: Any, axis: dict[str, Any]) -> float:
    """Where a value lies on an axis: the number itself, or the number of its category, which is added if new."""
    if axis["kind"] != "category":
        return value if isinstance(value, int) else shortened(value)
    text = format_number(value)
    if text not in axis["categories"]:
        axis["categories"].append(text)
    return int(axis["categories"].index(text))


def _points(style: str, name: str, points: Sequence[tuple[int, float, float | None]]) -> dict[str, Any]:
    return {
        "kind": "points",
        "style": style,
        "name": name,
        "trials": [number for number, _, _ in points],
        "x": [x for _, x, _ in points],
        "y": [shortened(y or 0.0) for _, _, y in points],
    }


def _objective(report: StudyReport) -> str:
    return f"{report.part}{label(report.objective)}"
