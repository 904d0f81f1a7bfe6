"""Progressive promotion (PASHA, Bohdal et al. 2022, arXiv:2207.06940): at first trials get no further than to the
second rung. The next rung is opened when the two highest ones rank trials differently, so that no more epochs are spent
than the ranking needs. If they agree again before two trials are beyond, it closes again; in the paper it stays open.
When no more trials will begin, the best one goes on to its last epoch.

A trial may hold another's place in the ranking if their values at the lower rung are no further apart than the noise.
The noise is measured on pairs of trials of which now one is ahead, now the other one, and then the first one again: the
90th percentile of how far apart these are at the higher rung.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from heapq import nlargest
from itertools import pairwise

import numpy as np
from optuna.trial import FrozenTrial, TrialState

from hpo.search.objective import level
from hpo.search.pruning.promotion import Place, Promotion
from hpo.search.sampling.parzen import Floats
from hpo.studyfile.records import StudyTable

PERCENTILE = 90
MOST = 100
"""Most trials, the best ones of a rung, on which the noise is measured."""


class Progressive(Promotion):
    """Promotion whose trials get no further than to the highest rung that is open."""

    def __init__(self, study: StudyTable, rungs: Sequence[int], *, factor: int, levels: bool = False) -> None:
        super().__init__(study, rungs, factor=factor, levels=levels)
        self.highest = self.rungs[0]
        """The highest rung that is open."""
        self._agreed: dict[int, tuple[list[Place], bool]] = {}
        """By rung: the places there, and whether the rung below ranks those trials alike."""

    def read(self, trials: Iterable[FrozenTrial]) -> None:
        super().read(trials)
        # One trial may be beyond because it was the last to go on. Two are only where a rung was open.
        beyond = min(nlargest(2, (len(trial.intermediate_values) for trial in self._known.values())), default=0)
        opened = (rung for below, rung in pairwise(self.rungs) if beyond <= rung and self._agree(below, rung))
        self.highest = next(opened, self.rungs[-1])

    def _best(self, rung: int) -> list[Place]:
        return super()._best(rung) if rung < self.highest else []

    def _last(self) -> list[FrozenTrial]:
        if any(trial.state == TrialState.RUNNING for trial in self._known.values()):
            return []
        return [self.paused[number] for number in self.order()[:1] if number in self.paused]

    def _agree(self, below: int, rung: int) -> bool:
        """Whether two neighbouring rungs rank the trials of the higher one alike, but for noise."""
        places, known = self.arrived[rung], self._agreed.get(rung)
        if known is None or known[0] != places:
            self._agreed[rung] = known = list(places), self._compared(below, rung)
        return known[1]

    def _compared(self, below: int, rung: int) -> bool:
        curves = {n: self._curve(n)[:rung] for value, n in self.arrived[rung] if math.isfinite(value)}
        numbers = [number for number, curve in curves.items() if len(curve) == rung]  # others had ended before
        before = [self._places[below][number][0] for number in numbers]
        swapped = before != sorted(before)
        allowed = noise(np.array([curves[number] for number in numbers[:MOST]])) if swapped else 0.0
        return all(abs(held - value) <= allowed for held, value in zip(sorted(before), before, strict=True))

    def _curve(self, number: int) -> list[float]:
        """What a trial is compared by after each epoch; its values, if not by levels."""
        curve = [value for _, value in sorted(self._known[number].intermediate_values.items())]
        return [level(curve[:epoch]) for epoch in range(1, len(curve) + 1)] if self.levels else curve


def noise(curves: Floats) -> float:
    """How far apart curves are at their ends that have crossed at least twice: a percentile. 0 where there are none.
    `curves`: [n, epochs]"""
    differences = curves[:, None, :] - curves[None, :, :]
    ahead, behind = differences > 0, differences < 0
    fell = np.logical_and(behind, np.maximum.accumulate(ahead, axis=2))
    crossed = np.logical_and(ahead, np.maximum.accumulate(fell, axis=2)).any(axis=2)
    apart = np.abs(differences[..., -1])[np.triu(crossed | crossed.T, k=1)]
    return float(np.percentile(apart, PERCENTILE)) if len(apart) else 0.0
