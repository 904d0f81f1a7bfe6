"""Optuna's distributions of ranges and choices: which, how many values they have, and the value at a place.

Optuna is imported late: `hpo --help` does without it. The tree of a study's parameters is walked in `hpo.space`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hpo.studyfile.tree import Choice, Range

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution, FloatDistribution

NEAR = 1e-8
"""Share of a step by which a value may miss its place on the grid, as in Optuna."""


def distribution_of(node: Range | Choice) -> BaseDistribution:
    """What the values of a node are drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(node, Choice):
        return CategoricalDistribution(node.labels)
    if isinstance(node.low, int):
        return IntDistribution(node.low, int(node.high), log=node.log, step=int(node.step or 1))
    return FloatDistribution(node.low, node.high, log=node.log, step=node.step)


def size(distribution: BaseDistribution) -> int:
    """How many values a countable distribution has."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    low, high, step = (Decimal(str(end)) for end in (distribution.low, distribution.high, distribution.step))
    return int((high - low) / step) + 1


def value_at(distribution: BaseDistribution, turn: int) -> Any:
    """The value of a countable distribution at a position, the first at 0, as a person would write it: the decimal
    number `low + turn * step`, where floating point gives 0.30000000000000004."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[turn]
    if isinstance(distribution, IntDistribution):
        return distribution.low + turn * distribution.step
    assert isinstance(distribution, FloatDistribution)
    return float(Decimal(str(distribution.low)) + turn * Decimal(str(distribution.step)))


def on_grid(distribution: BaseDistribution, value: Any) -> Any:
    """A drawn value moved to the nearest one of `value_at`. What has no steps, or lies outside, stays as it is."""
    from optuna.distributions import FloatDistribution

    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return value
    return _nearest(distribution, value) if contains(distribution, value) else value


def contains(distribution: BaseDistribution, value: Any) -> bool:
    """Whether the value can have been drawn, up to rounding."""
    from optuna.distributions import FloatDistribution

    try:
        internal = distribution.to_internal_repr(value)
    except (TypeError, ValueError):
        return False
    if not isinstance(distribution, FloatDistribution) or distribution.step is None:
        return distribution._contains(internal)
    if not distribution.low <= internal <= distribution.high:
        return False
    # Where steps are small beside the ends of the range, floating point is coarser than Optuna's share of a step.
    rounding = 4 * math.ulp(max(abs(distribution.low), abs(distribution.high)))
    return abs(internal - _nearest(distribution, internal)) <= max(NEAR * distribution.step, rounding)


def _nearest(distribution: FloatDistribution, value: float) -> float:
    assert distribution.step is not None
    nearest: float = value_at(distribution, round((value - distribution.low) / distribution.step))
    return min(max(nearest, distribution.low), distribution.high)
