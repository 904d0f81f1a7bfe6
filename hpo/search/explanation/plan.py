"""How an explanation spends its trainings, as far as that does not depend on values."""

from __future__ import annotations

import math
from dataclasses import dataclass

Taken = frozenset[int]
"""The changes that a configuration has."""
Wanted = tuple[Taken, int]
"""A training: a configuration and the number of its repeat."""

SCOUT = 1
"""Number of the repeat by which the steps are ordered. It is in no mean: the best of several is too good by chance."""
FIRST = 2
"""Number of the first repeat that is measured."""
FEWEST_SEEDS = 4
"""Of a configuration: the least by which a difference is told from noise."""
MOST_SEEDS = 12
FEWEST_STEPS = 2
"""Steps below which nothing is explained, where there are as many changes."""
SCOUTING = 1 / 3
"""The largest share of the trainings by which steps are ordered."""
SHARE = 0.1
"""Share of the epochs of the search that an explanation has where none is given."""
LONG = 1 / 3
"""The largest share of the epochs of the search that the least explanation may take without being asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What is trained, as far as it does not depend on values."""

    units: tuple[Taken, ...]
    """The changes that are made at once, the most important one first: each alone, or the last ones together."""
    width: int
    """Units that are tried for each step, the most important ones; 1: none is, the order is theirs."""
    seeds: int
    """Measured repeats of each configuration."""
    backwards: int
    """Configurations that may be trained to set units back, beside those that are steps."""
    pairs: bool

    @property
    def trainings(self) -> int:
        """The most that it takes."""
        count = len(self.units)
        measured = count + 1 + self.backwards + (of_pairs(count) if self.pairs else 0)
        return scouting(count, self.width) + self.seeds * measured


def fewest(changes: int) -> int:
    """Trainings below which nothing is explained."""
    return FEWEST_SEEDS * (min(changes, FEWEST_STEPS) + 1)


def trainings(share: float | None, searched: int, length: int, changes: int) -> int:
    """How many trainings of `length` epochs an explanation has after a search that trained `searched` epochs: `share`
    of them; where that is None, `SHARE`, or the least that explains anything if that is no large part of the search."""
    least = fewest(changes) if share is None and fewest(changes) * length <= LONG * searched else 0
    # A share such as 0.1 is a little more than its decimal number: what it pays for must not depend on that.
    return max(least, math.floor(round((SHARE if share is None else share) * searched / length, 9)))


def plan_of(changes: int, count: int) -> Plan | None:
    """The best use of `count` trainings for so many changes; None where they do not pay for anything.

    First a step for each change, as far as they go; then setting each back; then pairs; then trying more than one
    change for each step; then more seeds.
    """
    if not changes or count < fewest(changes):
        return None
    steps = min(changes, count // FEWEST_SEEDS - 1)
    units = [frozenset({change}) for change in range(steps - 1)] + [frozenset(range(steps - 1, changes))]
    left = count // FEWEST_SEEDS - (steps + 1)
    backwards = min(steps - 1, left)
    pairs = steps > 1 and left - backwards >= of_pairs(steps)
    measured = steps + 1 + backwards + (of_pairs(steps) if pairs else 0)
    most = min(SCOUTING * count, count - FEWEST_SEEDS * measured)
    whole = backwards == steps - 1
    width = max((w for w in range(1, steps + 1) if w == 1 or (whole and scouting(steps, w) <= most)), default=1)
    return Plan(
        units=tuple(units),
        width=width,
        seeds=min(MOST_SEEDS, (count - scouting(steps, width)) // measured),
        backwards=backwards,
        pairs=pairs,
    )


def scouting(steps: int, width: int) -> int:
    """Trainings by which so many steps are ordered; the last step needs none."""
    return sum(min(width, left) for left in range(2, steps + 1)) if width > 1 else 0


def of_pairs(steps: int) -> int:
    """The most configurations that the pairs of three steps need beside the steps themselves: each of the three alone
    and every two together, less those that are steps in any case."""
    return {1: 0, 2: 1, 3: 4}.get(steps, 6)
