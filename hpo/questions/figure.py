"""The figure of an answer: each effect with its interval, by case and over all, as SVG. No library draws it, so that a
page of many stays small and shows in any browser, light or dark."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, LEFT, RIGHT, LINE, TOP = 720, 250, 20, 22, 26
"""Pixels: whole width, room for labels, room behind the axis, height of a row, room above the first one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """One row: a mean and its interval."""

    label: str
    value: float
    low: float
    high: float
    whole: bool = False
    """Whether it is over all cases."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Panel:
    """The rows of one effect, on an axis of their own."""

    title: str
    by: float
    """The smallest effect of interest, shaded to both sides of 0."""
    bars: tuple[Bar, ...]


def svg(panels: Sequence[Panel]) -> str:
    """The figure as the text of an SVG file."""
    heights = [TOP + LINE * (len(panel.bars) + 1) + 8 for panel in panels]
    parts = []
    y = 0
    for panel, height in zip(panels, heights, strict=True):
        parts.append(f'<g transform="translate(0 {y})">\n{_panel(panel)}\n</g>')
        y += height
    inside = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" width="{WIDTH}" height="{y}" '
        f'font-family="sans-serif" font-size="12">\n<rect width="{WIDTH}" height="{y}" fill="white"/>\n{inside}\n'
        "</svg>\n"
    )


def _panel(panel: Panel) -> str:
    reach = _reach(panel)

    def x(value: float) -> float:
        share = (max(-reach, min(reach, value)) + reach) / (2 * reach)
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    bottom = TOP + LINE * len(panel.bars)
    parts = [
        f'<text x="8" y="16" font-weight="bold">{html.escape(panel.title)}</text>',
        f'<rect x="{x(-panel.by)}" y="{TOP}" width="{round(x(panel.by) - x(-panel.by), 1)}" height="{bottom - TOP}" '
        'fill="#e8e8e8"/>',
        f'<line x1="{x(0)}" x2="{x(0)}" y1="{TOP}" y2="{bottom}" stroke="#888"/>',
    ]
    for place, bar in enumerate(panel.bars):
        y = TOP + LINE * place + LINE // 2
        weight, colour = ("bold", "#1f4e8c") if bar.whole else ("normal", "#555")
        parts.append(f'<text x="8" y="{y + 4}" font-weight="{weight}">{html.escape(bar.label)}</text>')
        parts.append(
            f'<line x1="{x(bar.low)}" x2="{x(bar.high)}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
            f'<circle cx="{x(bar.value)}" cy="{y}" r="{5 if bar.whole else 4}" fill="{colour}"/>'
        )
    for value in (-reach, -panel.by, 0.0, panel.by, reach):
        if abs(value) in (0.0, reach) or abs(value) > reach / 6:
            anchor = "end" if value == reach else "start" if value == -reach else "middle"
            parts.append(
                f'<text x="{x(value)}" y="{bottom + 15}" text-anchor="{anchor}" fill="#555">{value:.3g}</text>'
            )
    return "\n".join(parts)


def _reach(panel: Panel) -> float:
    """The largest value of the axis, which is symmetric. Intervals of few seeds are cut off rather than shown whole."""
    ends = [abs(end) for bar in panel.bars for end in (bar.low, bar.high) if math.isfinite(end)]
    means = [abs(bar.value) for bar in panel.bars]
    return 1.1 * max(2 * panel.by, *means, min(max(ends, default=0.0), 4 * max([panel.by, *means])))
