"""The report's plotly figures. The page's style sheet sets the colours of text and grid, for light and dark mode.

The figure of the learning curves is empty: the page's own script draws the curves, smoothed as the reader chooses.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hpo.reports.render.curves import evenly
from hpo.reports.text import STATES, format_number, format_share, label

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from hpo.reports.facts import StudyReport
    from hpo.reports.trials import TrialRow

WINNER, FINISHED, PRUNED, FAILED = "#d9480f", "#3b82c4", "#8a94a3", "#b4232f"
"""Colours that are readable on light and dark backgrounds, and distinct for colour-blind readers."""
MOST_HISTORY = 3000
MOST_SLICE = 400
"""Largest number of points in one slice plot."""
LONGEST_LABEL = 20
"""Longest label of a category on an axis, in characters; hovering over a point shows the whole."""


def _text(value: Any) -> str:
    """The value as a plotly label. Labels are a subset of HTML with entities for `&`, `<` and `>` alone."""
    return html.escape(format_number(value), quote=False)


def _shortened(text: str) -> str:
    """The label, cut to `LONGEST_LABEL` so that it leaves room for the points."""
    return text if len(text) <= LONGEST_LABEL else f"{text[: LONGEST_LABEL - 1]}…"


def _layout(height: int, x_title: str, y_title: str, **more: Any) -> dict[str, Any]:
    axis = {"zeroline": False, "automargin": True, "ticks": "outside", "ticklen": 4, "exponentformat": "e"}
    return {
        "height": height,
        "margin": {"l": 10, "r": 10, "t": 10, "b": 10},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, sans-serif", "size": 13},
        "hovermode": "closest",
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0, "xanchor": "left"},
        "xaxis": {**axis, "title": {"text": x_title, "font": {"size": 13}}},
        "yaxis": {**axis, "title": {"text": y_title, "font": {"size": 13}}},
        **more,
    }


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
    import plotly.graph_objects as go

    points = report.history
    figure = go.Figure()
    drawn = {trial.number for trial in evenly(report.trials, MOST_HISTORY)}
    for state, colour, symbol, rank in (("PRUNED", PRUNED, "x-thin-open", 3), ("COMPLETE", FINISHED, "circle", 2)):
        chosen = [p for p in points if p.state == state and p.value is not None and p.number in drawn]
        figure.add_scatter(
            x=[p.number for p in chosen],
            y=[p.value for p in chosen],
            mode="markers",
            name=STATES[state],
            legendrank=rank,
            marker={"color": colour, "symbol": symbol, "size": 7, "line": {"color": colour, "width": 1.5}},
            hovertext=[format_number(p.value, 5) for p in chosen],
            hovertemplate="trial %{x}<br>%{hovertext}<extra>" + STATES[state] + "</extra>",
        )
    steps = [p for i, p in enumerate(points) if p.best is not None and (i == 0 or p.best != points[i - 1].best)]
    if steps:
        figure.add_scatter(
            x=[*(p.number for p in steps), points[-1].number],
            y=[*(p.best for p in steps), steps[-1].best],
            mode="lines",
            name="best so far",
            legendrank=1,
            line={"color": WINNER, "width": 2.5, "shape": "hv"},
            hovertext=[format_number(p.best, 5) for p in (*steps, steps[-1])],
            hovertemplate="trial %{x}<br>best %{hovertext}<extra></extra>",
        )
    figure.update_layout(_layout(380, "trial (number)", _objective_title(report)))
    wild = robust_range([p.value for p in points if p.value is not None])
    if wild:
        figure.update_yaxes(range=wild)
    return figure


def learning_curves_figure() -> Figure:
    """The empty frame of the learning curves."""
    import plotly.graph_objects as go

    return go.Figure(layout=_layout(460, "epoch", ""))


def importances_figure(report: StudyReport) -> Figure:
    """Horizontal bars, the most important on top."""
    import plotly.graph_objects as go

    shares = report.importances.shares[:20]
    figure = go.Figure()
    figure.add_bar(
        x=[100 * value for _, value in reversed(shares)],
        y=[_text(name) for name, _ in reversed(shares)],
        orientation="h",
        marker={"color": FINISHED},
        text=[format_share(value, 0) for _, value in reversed(shares)],
        textposition="outside",
        cliponaxis=False,
        hovertext=[format_share(value) for _, value in reversed(shares)],
        hovertemplate="%{y}: %{hovertext}<extra></extra>",
    )
    figure.update_layout(_layout(90 + 28 * len(shares), "importance (%)", "", showlegend=False, bargap=0.35))
    figure.update_layout(margin={"l": 10, "r": 46, "t": 10, "b": 10})
    figure.update_yaxes(type="category")
    return figure


def slice_figure(report: StudyReport, name: str) -> Figure:
    """Objective against one parameter; categories and booleans on a categorical axis."""
    import plotly.graph_objects as go
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    owners = [t for t in report.trials if name in t.params and t.value is not None]
    distribution = owners[0].distributions[name] if owners else None
    categorical = isinstance(distribution, CategoricalDistribution)

    def shown(trial: TrialRow) -> Any:
        value = trial.params[name]
        return _text(value) if categorical else value

    figure = go.Figure()
    groups = (
        ("PRUNED", PRUNED, "x-thin-open", 6, [t for t in owners if t.state == "PRUNED"]),
        ("COMPLETE", FINISHED, "circle", 6, [t for t in owners if t.state == "COMPLETE" and t != report.winner]),
        ("winner", WINNER, "star", 13, [t for t in owners if t == report.winner]),
    )
    for state, colour, symbol, size, trials in groups:
        drawn = evenly(trials, MOST_SLICE)
        trace: dict[str, Any] = {
            "x": [shown(trial) for trial in drawn],
            "y": [trial.value for trial in drawn],
            "customdata": [trial.number for trial in drawn],
            "name": STATES.get(state, state),
            "marker": {"color": colour, "symbol": symbol, "size": size, "line": {"color": colour, "width": 1.5}},
            "hovertext": [f"{_text(trial.params[name])}<br>{format_number(trial.value, 5)}" for trial in drawn],
            "hovertemplate": "trial %{customdata}<br>%{hovertext}<extra></extra>",
        }
        if categorical and state != "winner":
            # Plotly spreads the points of a category sideways in box plots only, so this is one without boxes.
            figure.add_box(
                **trace,
                boxpoints="all",
                jitter=0.6,
                pointpos=0,
                fillcolor="rgba(0,0,0,0)",
                line={"color": "rgba(0,0,0,0)"},
                hoveron="points",
            )
        else:
            figure.add_scatter(**trace, mode="markers")
    figure.update_layout(_layout(260, _text(name), _objective_title(report), showlegend=False))
    figure.update_layout(font_size=11, xaxis_title_font_size=12, yaxis_title_font_size=12)
    if categorical:
        assert isinstance(distribution, CategoricalDistribution)
        options = [_text(option) for option in distribution.choices]
        figure.update_layout(boxmode="overlay")
        broken = [_text(_shortened(format_number(option))).replace("_", "_<br>") for option in distribution.choices]
        figure.update_xaxes(type="category", categoryorder="array", categoryarray=options)
        figure.update_xaxes(tickmode="array", tickvals=options, ticktext=broken)
    elif isinstance(distribution, FloatDistribution | IntDistribution) and distribution.log:
        decades = math.log10(distribution.high / distribution.low)
        ticks = {"dtick": max(1, round(decades / 5))} if decades >= 2 else {}
        figure.update_xaxes(type="log", title={"text": f"{_text(name)} (log scale)"}, **ticks)
    wild = robust_range([trial.value for trial in owners if trial.value is not None])
    if wild:
        figure.update_yaxes(range=wild)
    return figure


def _objective_title(report: StudyReport) -> str:
    return _text(f"{report.part}{label(report.objective)}")
