"""The values of a parameter in groups, in their order: the options of a choice, or ranges of about equally many trials.
Pure; used by the heat maps and isolation plots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.reports.text import format_number

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """One value, or a range of values."""

    label: str
    low: Any
    """The value itself where `low` and `high` are equal."""
    high: Any
    members: tuple[int, ...]
    """Positions among the values that were grouped; none for an option that no trial has."""


def groups_of(values: Sequence[Any], distribution: BaseDistribution, most: int) -> list[Group]:
    """At most `most` groups of a number's values, lowest first, or one for each option of the choice."""
    from optuna.distributions import CategoricalDistribution

    if isinstance(distribution, CategoricalDistribution):
        options = {repr(option): option for option in (*distribution.choices, *values)}
        held: dict[str, list[int]] = {key: [] for key in options}
        for place, value in enumerate(values):
            held[repr(value)].append(place)
        return [_group(options[key], options[key], format_number(options[key]), there) for key, there in held.items()]
    ordered = sorted(set(values))
    if len(ordered) <= most:
        return [
            _group(value, value, format_number(value, 3), [place for place, one in enumerate(values) if one == value])
            for value in ordered
        ]
    ranked = sorted(values)
    starts = sorted({ranked[round(part * len(ranked) / most)] for part in range(most)})
    made = []
    for start, end in zip(starts, [*starts[1:], None], strict=True):
        places = [place for place, value in enumerate(values) if value >= start and (end is None or value < end)]
        low, high = (pick(values[place] for place in places) for pick in (min, max))
        text = format_number(low, 2) if low == high else f"{format_number(low, 2)} to {format_number(high, 2)}"
        made.append(_group(low, high, text, places))
    return made


def _group(low: Any, high: Any, label: str, places: Sequence[int]) -> Group:
    return Group(label=label, low=low, high=high, members=tuple(places))
