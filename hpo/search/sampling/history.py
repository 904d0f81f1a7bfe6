"""The observations of TPE: ended trials as arrays, ranked, split, and thinned out when they are many.

Trials rank as in Optuna's TPE: finished ones by value, or by level where they have one, then pruned ones by the epoch
they reached and their last intermediate value, then those that violated a constraint. Nothing here draws or fits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.sampler import default_weights
from optuna.trial import FrozenTrial, TrialState

from hpo.ranking import level_of
from hpo.search.sampling.parzen import Floats

MOST = 600
"""Most trials outside the group of the best that are used. With more, the density would cost more and hardly change, as
bandwidths have reached their minimum."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Observed:
    """Points of some parameters, in the order of trial numbers, and their weights."""

    points: Floats
    """[n, parameters], Optuna's internal representations."""
    weights: Floats
    """[n]"""


class History:
    """The observed trials of a study, each read once."""

    def __init__(self, space: Mapping[str, BaseDistribution], *, maximize: bool) -> None:
        self.space = dict(space)
        self.sign = -1.0 if maximize else 1.0
        self.columns = {name: column for column, name in enumerate(self.space)}
        self.numbers = np.empty(0, dtype=np.int64)
        self.ranks = np.empty((0, 3))
        self.params = np.empty((0, len(self.space)))
        """[n, parameters]; NaN where a trial does not have a parameter."""
        self._known: set[int] = set()

    def read(self, ended: Iterable[FrozenTrial]) -> None:
        """Add those of the finished and pruned trials that were not read before."""
        new = [trial for trial in ended if trial.number not in self._known]
        if not new:
            return
        self._known.update(trial.number for trial in new)
        numbers = np.concatenate((self.numbers, [trial.number for trial in new]))
        # Sorted by number, so that the order in which trials ended or were read has no effect.
        order = np.argsort(numbers)
        self.numbers = numbers[order]
        self.ranks = np.concatenate((self.ranks, [self.rank_of(trial) for trial in new]))[order]
        self.params = np.concatenate((self.params, [self.point(trial) for trial in new]))[order]

    def rank(self, ranks: Mapping[int, int]) -> None:
        """Give the trials other ranks, by number, 0 for the best."""
        self.ranks = np.zeros((len(self), 3))
        self.ranks[:, 0] = [ranks.get(number, len(ranks)) for number in self.numbers.tolist()]

    def rank_of(self, trial: FrozenTrial) -> tuple[float, float, float]:
        """Sort key of a trial; lower is better."""
        return _rank(trial, self.sign)

    def __len__(self) -> int:
        return len(self.numbers)

    def point(self, trial: FrozenTrial) -> list[float]:
        """A trial's parameters; one that was drawn from another range than the study's is NaN."""
        return [
            distribution.to_internal_repr(trial.params[name])
            if trial.distributions.get(name) == distribution
            else math.nan
            for name, distribution in self.space.items()
        ]

    def order(self, best: int = 0) -> NDArray[np.intp]:
        """Indices of the trials, the best first; equal ones in the order of their numbers. `best`: how many of them
        the caller takes as the best; with one objective, this changes nothing."""
        return np.lexsort(self.ranks.T[::-1])  # lexsort sorts by the last key first

    def observed(self, names: Iterable[str], which: NDArray[np.intp], *, most: int | None = None) -> Observed:
        """Those of the trials at the indices `which`, best first, that have all of these parameters; older ones weigh
        less.

        Of more than `most` trials, `most` are kept: the best ones make one half, since the density matters near them.
        The other half is spread evenly over the numbers of the remaining trials, and gets the weight of all these.
        """
        columns = [self.columns[name] for name in names]
        which = which[~np.isnan(self.params[which][:, columns]).any(axis=1)]
        by_number = np.argsort(which)
        weights = np.empty(len(which))
        weights[by_number] = default_weights(len(which))
        if most is not None and len(which) > most:
            near = np.arange(most // 2)
            far = by_number[by_number >= len(near)]
            # Counted from the newest, whose weights are the highest.
            kept = far[len(far) - 1 - np.arange(most - len(near)) * len(far) // (most - len(near))]
            weights[kept] *= weights[far].sum() / weights[kept].sum()
            chosen = np.concatenate((near, kept))
            which, weights = which[chosen], weights[chosen]
        order = np.argsort(which)
        return Observed(points=self.params[which[order]][:, columns], weights=weights[order])


def _rank(trial: FrozenTrial, sign: float) -> tuple[float, float, float]:
    broken = sum(value for value in trial.constraints.values() if value > 0)
    if broken > 0:
        return 2.0, broken, 0.0
    if trial.state == TrialState.COMPLETE:
        assert trial.value is not None
        level = level_of(trial.user_attrs)
        return 0.0, sign * (trial.value if level is None else level), 0.0
    if not trial.intermediate_values:
        return 1.0, 1.0, 0.0
    step, value = max(trial.intermediate_values.items())
    return 1.0, -step, math.inf if math.isnan(value) else sign * value
