"""Kendall's rank test of a trend. `scipy.stats.kendalltau` gives the same and takes most of a second to import, at the
end of every study."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import accumulate, combinations

EXACT = 33
"""Most values of which the exact distribution is computed, if no two are equal."""


def chance_of_rise(values: Sequence[float]) -> float:
    """The probability that values in random order rise as much as these do, from 0 to 1. Values must be at least three,
    and not all equal.

    Kendall, Rank correlation methods (1970): the exact distribution of falling pairs, or with equal values or many of
    them, the normal approximation with its correction for ties.
    """
    count = len(values)
    pairs = count * (count - 1) // 2
    falling = sum(before > after for before, after in combinations(values, 2))
    ties = [size for size in Counter(values).values() if size > 1]
    if not ties and (count <= EXACT or min(falling, pairs - falling) <= 1):
        return sum(_orders(count)[: falling + 1]) / math.factorial(count)
    rising = pairs - falling - sum(size * (size - 1) // 2 for size in ties)
    variance = _term(count) - sum(map(_term, ties))
    return math.erfc((rising - falling) / math.sqrt(2 * variance)) / 2


def _orders(count: int) -> list[int]:
    """How many orders of so many different values have 0, 1, 2, ... falling pairs."""
    found = [1]
    for places in range(2, count + 1):
        sums = list(accumulate([*found, *[0] * (places - 1)]))
        found = [high - (sums[at - places] if at >= places else 0) for at, high in enumerate(sums)]
    return found


def _term(size: int) -> float:
    return size * (size - 1) * (2 * size + 5) / 18
