"""Optuna's distributions for the ranges and choices of a study file, and their values by position.

Optuna is imported inside the functions, because `hpo --help` must not load it. `hpo.space` walks the tree of a study's
parameters.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from hpo.studyfile.tree import Choice, Range, count_steps

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution, FloatDistribution

NEAR = 1e-8
"""Largest distance of a value from a grid point, as a share of the step; the same as Optuna's."""


def distribution_of(node: Range | Choice) -> BaseDistribution:
    """The distribution that a node's values are drawn from."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(node, Choice):
        return CategoricalDistribution(node.labels)
    if isinstance(node.low, int):
        return IntDistribution(node.low, int(node.high), log=node.log, step=int(node.step or 1))
    return FloatDistribution(node.low, node.high, log=node.log, step=node.step)


def count_values(distribution: BaseDistribution) -> int:
    """How many values a countable distribution has."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    assert distribution.step is not None
    return count_steps(distribution.low, distribution.high, distribution.step)


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
    """A drawn value moved to the nearest value of `value_at`. A value of a distribution without steps, or outside the
    range, is returned unchanged."""
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
    # Where steps are small compared with the ends of the range, rounding errors exceed Optuna's share of a step.
    rounding = 4 * math.ulp(max(abs(distribution.low), abs(distribution.high)))
    return abs(internal - _nearest(distribution, internal)) <= max(NEAR * distribution.step, rounding)


def _nearest(distribution: FloatDistribution, value: float) -> float:
    assert distribution.step is not None
    nearest: float = value_at(distribution, round((value - distribution.low) / distribution.step))
    return min(max(nearest, distribution.low), distribution.high)
