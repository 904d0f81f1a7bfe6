"""A trial's standing: how many of the study's trials it beats, with trials of unequal length compared fairly.

Finished trials are ordered by their values. A trial that ended early is compared, at the epoch where it ended, with all
trials that got that far: it stands among them where it stood then. So trials that ended at later epochs are placed
first. A diverged trial stands last, whatever its value was before. Standings are ranks: they do not depend on the scale
of the objective, and one loss of 1e6 weighs no more than another bad one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from hpo.endings import Ending

if TYPE_CHECKING:
    from hpo.reports.trials import TrialRow


def tiers(trials: Sequence[TrialRow], *, minimized: bool, last: bool) -> list[list[TrialRow]]:
    """The trials that have a standing, worst first; those of one list are equal. `last`: a trial's value is that of its
    last epoch, else that of its best one so far.

    Left out: trials without parameters, that run, failed or were never measured, and those that were cut off where no
    other trial got as far.
    """
    sign = -1.0 if minimized else 1.0
    finished = [t for t in trials if t.state == "COMPLETE" and t.value is not None and math.isfinite(t.value)]
    lost = [t for t in trials if t.state == "PRUNED" and t.params and t.ended.why is Ending.DIVERGED]
    early = [t for t in trials if t.state == "PRUNED" and t.params and t not in lost and _reached(t)]

    def value(trial: TrialRow) -> float:
        return sign * (trial.value or 0.0)

    order = [list(group) for _, group in groupby(sorted(finished, key=value), key=value)]
    curves = {t.number: dict(_so_far(t, sign, last=last)) for t in (*finished, *early)}
    for epoch, batch in groupby(sorted(early, key=_reached, reverse=True), key=_reached):
        order = _merged(order, list(batch), epoch, curves)
    return [*([lost] if lost and order else []), *order]


def _reached(trial: TrialRow) -> int:
    return max(trial.curve, default=0)


def _so_far(trial: TrialRow, sign: float, *, last: bool) -> Iterator[tuple[int, float]]:
    """(epoch, what the trial's value was then), more being better."""
    best = -math.inf
    for epoch, value in sorted(trial.curve.items()):
        best = sign * value if last or not best > sign * value else best
        yield epoch, best


def _merged(
    order: list[list[TrialRow]], batch: list[TrialRow], epoch: int, curves: dict[int, dict[int, float]]
) -> list[list[TrialRow]]:
    """The order with the trials that ended at this epoch in it, each at the share of trials that it had beaten then."""
    then = sorted(curves[t.number][epoch] for tier in order for t in tier if epoch in curves[t.number])
    total = sum(map(len, order))
    placed: list[tuple[float, float, TrialRow]] = []
    for trial in batch:
        value = curves[trial.number][epoch]
        if then:
            beaten = (bisect_left(then, value) + bisect_right(then, value)) / 2 / len(then)
            placed.append((beaten * total, value, trial))
        elif trial.ended.why is not Ending.BUDGET:
            placed.append((0.0, value, trial))  # who decides to end it found it worse than those that went on
    placed.sort(key=lambda one: one[:2])
    merged: list[list[TrialRow]] = []
    waiting = [(key[0], [one[2] for one in group]) for key, group in groupby(placed, key=lambda one: one[:2])]
    start = 0
    for tier in order:
        joined = list(tier)
        while waiting and waiting[0][0] < start + len(tier):
            where, ones = waiting.pop(0)
            if where <= start:
                merged.append(ones)
            else:
                joined += ones
        merged.append(joined)
        start += len(tier)
    return [*merged, *(ones for _, ones in waiting)]
