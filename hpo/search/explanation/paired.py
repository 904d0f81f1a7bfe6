"""Statistics of repeats that are paired: in each pair, two configurations were trained with the same seeds.

The variance is that of the differences alone. Seeds that suit one configuration often suit the other, so differences
vary less than values; where they do not, nothing is lost but degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, stdev

from scipy.special import stdtrit

from hpo.conclusions import Interval

COVERED = 0.95
"""Chance that an interval covers."""
WRONGLY = 0.05
"""Chance that a configuration which is no worse is called worse."""
STEADY = 2.0
"""Standard deviations of a training of the better configuration, within which the mean of the other one must lie: where
its own repeats vary so much that nothing is told from noise, it is not called as good."""

Values = Sequence[float | None]
"""The values of a configuration's repeats, in the same order for all; None for one that diverged or failed. More is
better."""


def lost(values: Values) -> int:
    """How many repeats diverged or failed."""
    return sum(value is None for value in values)


def filled(values: Values, worst: float) -> list[float]:
    """The values, with the worst one for repeats that diverged or failed."""
    return [worst if value is None else value for value in values]


def interval_of(values: Sequence[float]) -> Interval:
    """The mean of at least two values, with a t interval."""
    mean = fmean(values)
    reach = float(stdtrit(len(values) - 1, (1 + COVERED) / 2)) * stdev(values) / math.sqrt(len(values))
    return Interval(mean=mean, low=mean - reach, high=mean + reach)


def difference(first: Sequence[float], second: Sequence[float]) -> Interval:
    """How much more the first values are."""
    return interval_of([a - b for a, b in zip(first, second, strict=True)])


def is_worse(values: Values, better: Values) -> bool:
    """Whether a configuration is worse beyond noise: by a one-sided paired t test, or because more of its repeats
    diverged or failed."""
    if lost(values) != lost(better):
        return lost(values) > lost(better)
    losses = _losses(values, better)
    if len(losses) < 2:
        return False
    return fmean(losses) > float(stdtrit(len(losses) - 1, 1 - WRONGLY)) * stdev(losses) / math.sqrt(len(losses))


def uncertain(values: Values, better: Values) -> bool:
    """Whether a configuration that is not worse beyond noise may yet be far worse on average."""
    losses = _losses(values, better)
    if len(losses) < 2:
        return True
    known = [value for value in better if value is not None]
    return fmean(losses) > STEADY * stdev(known)


def _losses(values: Values, better: Values) -> list[float]:
    pairs = zip(values, better, strict=True)
    return [b - a for a, b in pairs if a is not None and b is not None]
