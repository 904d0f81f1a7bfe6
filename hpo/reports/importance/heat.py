"""The heat map of two parameters: how trials stand, by the values of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo.reports.importance.groups import groups_of

if TYPE_CHECKING:
    from hpo.reports.trials import TrialRow

MOST_GROUPS = 5
"""Ranges of a number's values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """The trials with one pair of values."""

    trials: int
    standing: float | None
    """Mean standing, from 0 to 1; None without trials."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HeatMap:
    """Cells by the values of two parameters."""

    names: tuple[str, str]
    """Of the columns, then of the rows."""
    columns: tuple[str, ...]
    rows: tuple[str, ...]
    cells: tuple[tuple[Cell, ...], ...]
    """By row, then by column."""


def heat_map(trials: Sequence[TrialRow], standing: Mapping[int, float], first: str, second: str) -> HeatMap:
    """The heat map of two parameters over the trials that have both. `standing`: by trial number."""
    both = [trial for trial in trials if first in trial.params and second in trial.params]
    across, down = (
        groups_of([trial.params[name] for trial in both], both[0].distributions[name], MOST_GROUPS)
        for name in (first, second)
    )
    cells = []
    for row in down:
        line = []
        for column in across:
            held = [standing[both[place].number] for place in set(row.members) & set(column.members)]
            line.append(Cell(trials=len(held), standing=sum(held) / len(held) if held else None))
        cells.append(tuple(line))
    return HeatMap(
        names=(first, second),
        columns=tuple(group.label for group in across),
        rows=tuple(group.label for group in down),
        cells=tuple(cells),
    )
