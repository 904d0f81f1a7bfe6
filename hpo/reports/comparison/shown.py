"""A comparison as short texts, for a terminal and for the page: at most ten rows, intervals behind their values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hpo.reports.comparison.columns import BASIC
from hpo.reports.comparison.entries import NAMED
from hpo.reports.comparison.table import Comparison
from hpo.reports.text import format_number

SETTINGS = "file."
"""Precedes the columns of settings that differ."""
INTERVALS = ("rank", "score", "difference")
"""Columns whose ends are shown behind them."""
PROBABILITIES = ("p", "p_holm", "beats_first")
"""Columns of which two digits say enough."""
UNTOLD = (
    "study",
    "metric",
    "score_spread",
    "area_from",
    "area_to",
    "differs",
    *(f"{name}_{end}" for name in INTERVALS for end in ("low", "high")),
)
"""Columns that have no line of their own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """Texts of a comparison, a column for each row of it."""

    heads: tuple[str, ...]
    """Names of the rows that are shown."""
    lines: Mapping[str, tuple[str, ...]]
    """A text for each of them, by the name of the measurement."""
    omitted: int
    """Rows that are not shown."""
    settings_omitted: int
    """Settings that differ and are not shown."""


def shown(comparison: Comparison, most: int = NAMED) -> Shown:
    """The first row and the best of the others, `most` in all, in their order; what none of them has is left out."""
    places = chosen(comparison, most)
    cells = [comparison.cells[place] for place in places]
    settings = [name for name in comparison.columns if name.startswith(SETTINGS)]
    left_out = {*UNTOLD, *settings[NAMED:]}
    if all(len(row.entries) == 1 for row in comparison.rows):
        left_out.add("studies")
    if len(comparison.rows) < 3:
        left_out.add("p_holm")  # one p value needs no adjustment
    names = [name for name in comparison.columns if name not in left_out]
    return Shown(
        heads=tuple(str(cell["study"]) for cell in cells),
        lines={
            name: tuple(with_interval(cell, name) for cell in cells)
            for name in names
            if name in BASIC or any(cell.get(name) is not None for cell in cells)
        },
        omitted=len(comparison.cells) - len(places),
        settings_omitted=len(settings[NAMED:]),
    )


def chosen(comparison: Comparison, most: int = NAMED) -> list[int]:
    """Places of the first row and the best others, `most` in all, in their order."""
    ranks = [cell.get("rank") for cell in comparison.cells]
    order = sorted(range(1, len(ranks)), key=lambda place: (ranks[place] is None, ranks[place] or 0, place))
    return [0, *sorted(order[: most - 1])] if ranks else []


def with_interval(cell: Mapping[str, Any], name: str) -> str:
    """A cell's text, with the ends of its interval where it has any: `0.9812 (0.97 to 0.9924)`."""
    if name in PROBABILITIES:
        return format_number(cell.get(name), 2)
    value, low, high = (cell.get(key) for key in (name, f"{name}_low", f"{name}_high"))
    if name not in INTERVALS or value is None or low is None or high is None or (name == "rank" and low == high):
        return format_number(value)
    return f"{format_number(value)} ({format_number(low)} to {format_number(high)})"
