"""The decisions of a confirmation: which configurations are trained again, how often, which are dropped, and what
follows from the values. Pure functions; the training is in `hpo.runtime.confirmation`, the method in
docs/confirmation.md.

A configuration is named by the number of its trial, or by `DEFAULT`. Values have the sign that makes more better. Every
repeat has seeds of its own, so its value does not depend on the search, which chose among lucky values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev

from scipy.special import stdtrit

from hpo.conclusions import Interval
from hpo.conclusions.confirmation import Confirmation
from hpo.seeds import DEFAULT_CONFIGURATION as DEFAULT

FEWEST = 6
"""Trainings below which nothing is confirmed: two leading configurations and the default one, two repeats each."""
ENOUGH = 8
"""Trainings that a study gets even where its share pays for fewer, if it is long enough: the least that compares two
configurations with some precision."""
LONG = 1 / 3
"""The largest share of the epochs of the search that `ENOUGH` trainings may be."""
FIRST = 2
"""Repeats that every configuration gets."""
MOST_CONFIGURATIONS = 11
MOST_REPEATS = 20
"""Of one configuration."""
LOOKS = (2, 4, 8, 16)
"""Numbers of repeats after which configurations that are behind are dropped."""
DROPPED_WRONGLY = 0.02
"""Largest chance that the best configuration is dropped, over all looks and all others."""
LEFT_OUT_WRONGLY = 0.03
"""Largest chance that the best configuration, if it was not dropped, is missing among the leaders."""
DEFAULT_BEHIND = 0.05
"""Chance that the default configuration gets no more repeats although it is no worse than the best; it cannot win, so
this costs nothing but precision."""
COVERED = 0.95
"""Chance that an interval covers."""

Values = Mapping[int, Sequence[float | None]]
"""The values of the repeats of each configuration, in the order of the repeats; None for one that diverged or failed.
The configurations are in the order of the search's ranking."""


def trainings(share: float, searched: int, length: int) -> int:
    """How many trainings of `length` epochs a confirmation has after a search that trained `searched` epochs."""
    if share <= 0:
        return 0
    least = ENOUGH if ENOUGH * length <= LONG * searched else 0
    # A share such as 0.1 is a little more than its decimal number: what it pays for must not depend on that.
    count = max(least, math.floor(round(share * searched / length, 9)))
    return count if count >= FEWEST else 0


def configurations(count: int) -> int:
    """How many configurations share this many trainings, the default one included: about as many as each of them has
    repeats."""
    return min(MOST_CONFIGURATIONS, math.ceil(math.sqrt(count)), count // FIRST)


def next_round(values: Values, default: int | None, lengths: Mapping[int, int], left: int) -> list[tuple[int, int]]:
    """The next repeats to train, as (configuration, number of the repeat from 1); empty where the confirmation has
    ended. `default`: which one is the default configuration; `lengths`: epochs of a training of each configuration;
    `left`: epochs that are left of the budget.

    The first two repeats are always paid for. Then each round doubles the repeats of those still in the race, as far as
    the budget pays for all of them.
    """
    racing = standing(values, default)
    if not racing:
        return []
    fewest = min(len(values[number]) for number in racing)
    if fewest < FIRST:
        return _missing(values, racing, FIRST)
    for goal in range(min(2 * fewest, MOST_REPEATS), fewest, -1):
        missing = _missing(values, racing, goal)
        if sum(lengths[number] for number, _ in missing) <= left:
            return missing
    return []


def standing(values: Values, default: int | None) -> list[int]:
    """The configurations still in the race, in the order of the ranking; empty where no trial's is.

    One leaves it with a repeat that diverged or failed, or at a look where it is behind the best by a one-sided t test,
    corrected for the number of configurations and of looks (Bonferroni).
    """
    racing = list(values)
    for look in LOOKS:
        racing = [number for number in racing if None not in values[number][:look]]
        rivals = [number for number in racing if number != DEFAULT]
        if not rivals:
            return []
        if len(racing) < 2 or any(len(values[number]) < look for number in racing):
            break
        # By what was known at this look, so that a repeat that is lost later does not change what was dropped here.
        seen = Means(_whole({n: found[:look] for n, found in values.items()}), default)
        level = DROPPED_WRONGLY / (len(LOOKS) * max(1, len(rivals) - 1))
        best = max(rivals, key=seen.mean)
        levels = {number: DEFAULT_BEHIND if number == DEFAULT else level for number in racing}
        racing = [number for number in racing if not seen.behind(number, best, levels[number])]
    return racing


def conclude(
    values: Values,
    searched: Mapping[int, float],
    others: Mapping[int, float],
    default: int | None,
    *,
    sign: float = 1.0,
    epochs: int = 0,
    seconds: float = 0.0,
) -> Confirmation | None:
    """What follows from the repeats; None where no trial's configuration has the repeats that it needs. `searched`: the
    values in the search of the repeated configurations that are trials; `others`: those of finished trials that were
    not repeated; `default`: which one is the default configuration; `sign`: factor of a value of the objective that
    makes more better; `epochs`, `seconds`: what all repeats took."""
    whole = _whole(values)
    candidates = [number for number in standing(values, default) if number in whole and number != DEFAULT]
    if not candidates:
        return None
    means = Means(whole, default)
    winner = max(candidates, key=means.mean)
    rivals = [number for number in whole if number != DEFAULT]
    level = LEFT_OUT_WRONGLY / max(1, len(rivals) - 1)
    squared, freedom = means.variance(winner)
    reach = float(stdtrit(freedom, 1 - LEFT_OUT_WRONGLY / len(rivals))) * math.sqrt(
        squared * (1 / len(whole[winner]) + 1)
    )
    # The best of several means is too good by chance, so the lower ends of all of them hold at once.
    lower = max((1 + COVERED) / 2, COVERED ** (1 / len(candidates)))
    gain = None
    if default in whole and default != winner:
        lead = means.mean(winner) - means.mean(default)
        gain = _interval(lead, *means.error(winner, default), lower)
    value = _interval(means.mean(winner), math.sqrt(squared / len(whole[winner])), freedom, lower)
    return Confirmation(
        winner=winner,
        value=value.times(sign),
        spread=stdev(whole[winner]),
        repeats=len(values[winner]),
        configurations=len(values),
        leaders=tuple(n for n in candidates if not means.behind(n, winner, level)),
        others=tuple(number for number, value in others.items() if means.mean(winner) - value <= reach),
        searched=sign * searched[winner],
        optimism=searched[winner] - means.mean(winner),
        gain=gain,
        default=default if default in values else None,
        epochs=epochs,
        seconds=seconds,
    )


class Means:
    """The means of some configurations, each with at least two values. The variance of a value is pooled over all of
    them but the default one, whose training may be far less steady than that of the leaders."""

    def __init__(self, values: Mapping[int, Sequence[float]], default: int | None) -> None:
        self.values = values
        self.default = default

    def mean(self, number: int) -> float:
        return fmean(self.values[number])

    def variance(self, number: int) -> tuple[float, int]:
        """Of one value of the configuration, with its degrees of freedom. That of the default configuration is its own,
        but no smaller than that of the others: two values may be close by chance."""
        others = [n for n in self.values if n != self.default]
        pools = [others] if number != self.default else [[number], *([others] if others else [])]
        return max(self._pooled(pool) for pool in pools)

    def _pooled(self, pool: Sequence[int]) -> tuple[float, int]:
        squares = sum((value - self.mean(n)) ** 2 for n in pool for value in self.values[n])
        freedom = sum(len(self.values[n]) - 1 for n in pool)
        return squares / freedom, freedom

    def error(self, first: int, second: int) -> tuple[float, float]:
        """Standard error of the difference of two means, and its degrees of freedom: where one of them is that of the
        default configuration, by Welch and Satterthwaite."""
        parts = [(self.variance(n)[0] / len(self.values[n]), self.variance(n)[1]) for n in (first, second)]
        squared = sum(part for part, _ in parts)
        if self.default not in (first, second):
            return math.sqrt(squared), parts[0][1]
        if not squared:
            return 0.0, sum(freedom for _, freedom in parts)
        return math.sqrt(squared), 1 / sum((part / squared) ** 2 / freedom for part, freedom in parts)

    def behind(self, number: int, best: int, level: float) -> bool:
        """Whether the configuration is worse than the best one, by a one-sided test."""
        if number == best:
            return False
        error, freedom = self.error(best, number)
        return self.mean(best) - self.mean(number) > float(stdtrit(freedom, 1 - level)) * error


def _interval(mean: float, error: float, freedom: float, lower: float) -> Interval:
    low, high = (float(stdtrit(freedom, level)) * error for level in (lower, (1 + COVERED) / 2))
    return Interval(mean=mean, low=mean - low, high=mean + high)


def _whole(values: Values) -> dict[int, list[float]]:
    """The values of the configurations that have repeats enough, none of which diverged or failed."""
    found = {number: [v for v in repeats if v is not None] for number, repeats in values.items()}
    return {n: known for n, known in found.items() if FIRST <= len(known) == len(values[n])}


def _missing(values: Values, racing: Sequence[int], goal: int) -> list[tuple[int, int]]:
    return [(number, repeat) for number in racing for repeat in range(len(values[number]) + 1, goal + 1)]
