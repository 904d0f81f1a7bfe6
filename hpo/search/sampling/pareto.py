"""The observations of TPE with several objectives (after Ozaki et al. 2022): which trials are the best.

Finished trials are sorted into fronts: the first is that of the trials that no other one dominates, the second that of
those that only the first dominates, and so on. Of the front that is taken in part, those trials are taken that together
dominate the largest volume. Pruned trials follow, by their epochs and the first objective.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna._hypervolume.hssp import _solve_hssp
from optuna.distributions import BaseDistribution
from optuna.study._multi_objective import _fast_non_domination_rank
from optuna.trial import FrozenTrial, TrialState

from hpo.ranking import Direction, lowered
from hpo.search.sampling.history import History
from hpo.search.sampling.parzen import Floats

MARGIN = 0.1
"""How far the point from which volumes are measured lies behind the worst trial of a front, as a share of its range."""


class ParetoHistory(History):
    """The observed trials of a study with several objectives."""

    def __init__(self, space: Mapping[str, BaseDistribution], directions: Sequence[Direction]) -> None:
        super().__init__(space, maximize=directions[0] == "maximize")
        self.directions = directions
        self.values: dict[int, tuple[float, ...]] = {}
        """Of finished trials by number, so that less is better."""

    def rank_of(self, trial: FrozenTrial) -> tuple[float, float, float]:
        if trial.state != TrialState.COMPLETE:
            return super().rank_of(trial)
        if len(trial.values) != len(self.directions) or not all(map(math.isfinite, trial.values)):
            return 3.0, 0.0, 0.0
        self.values[trial.number] = lowered(trial.values, self.directions)
        return 0.0, 0.0, 0.0

    def order(self, best: int = 0) -> NDArray[np.intp]:
        order = super().order(best)
        finished = [index for index in order.tolist() if self.numbers[index] in self.values]
        if not 0 < best < len(finished):
            return order
        values = np.array([self.values[number] for number in self.numbers[finished].tolist()])
        chosen = set(best_of(values, best).tolist())
        first = [index for place, index in enumerate(finished) if place in chosen]
        return np.array([*first, *(index for index in order.tolist() if index not in set(first))], dtype=np.intp)


def best_of(values: Floats, count: int) -> NDArray[np.intp]:
    """Indices of the `count` best of some points [n, objectives], fewer than there are; less is better."""
    fronts = _fast_non_domination_rank(values, n_below=count)
    sizes = np.cumsum(np.bincount(fronts))
    whole = int(np.searchsorted(sizes, count, side="right"))  # fronts that are taken as a whole
    taken = np.flatnonzero(fronts < whole)
    if len(taken) < count:
        cut = np.flatnonzero(fronts == whole)
        front = values[cut]
        worst, span = front.max(axis=0), np.ptp(front, axis=0)
        behind = worst + MARGIN * np.where(span > 0, span, 1.0)
        taken = np.concatenate((taken, _solve_hssp(front, cut, count - len(taken), behind)))
    found: NDArray[np.intp] = np.sort(taken)
    return found
