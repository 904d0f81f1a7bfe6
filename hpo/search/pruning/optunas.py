"""Optuna's pruners with ended trials kept in memory: same decisions, but each ended trial is read once.

Optuna's own pruners read all trials at every epoch of every trial, and Hyperband also loads the study again.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any

import numpy as np
from optuna.pruners import BasePruner, HyperbandPruner, SuccessiveHalvingPruner
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from hpo.search.sampling.parzen import Floats

ENDED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)
OPEN = (TrialState.RUNNING, TrialState.WAITING)


class NewTrials:
    """Returns the trials that have reached one of some states, each of them once."""

    def __init__(self, *states: TrialState) -> None:
        self.states = states
        self.seen: set[int] = set()

    def __len__(self) -> int:
        return len(self.seen)

    def of(self, study: Study) -> list[FrozenTrial]:
        """The trials that were not returned before."""
        if study._storage.get_n_trials(study._study_id, self.states) == len(self.seen):
            return []
        trials = study.get_trials(deepcopy=False, states=self.states)
        new = [trial for trial in trials if trial.number not in self.seen]
        self.seen.update(trial.number for trial in new)
        return new


class CachedPercentile(BasePruner):
    """Stops a trial whose best value so far is worse than a percentile of the finished trials' values at the same step;
    with `last`, its last value is compared instead.

    Without `last`, the same as `optuna.pruners.PercentilePruner`, and with 50 per cent as `MedianPruner`.
    """

    def __init__(self, percentile: float, *, startup_trials: int, warmup_steps: int, last: bool = False) -> None:
        self.percentile = percentile
        self.last = last
        self.startup_trials = startup_trials
        self.warmup_steps = warmup_steps
        self.finished = NewTrials(TrialState.COMPLETE)
        self.curves: dict[int, Floats] = defaultdict(lambda: np.empty(0))
        """Step -> the values of finished trials at this step, in ascending order, without NaN."""

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        self._read(self.finished.of(study))
        step = trial.last_step
        if len(self.finished) < max(self.startup_trials, 1) or step is None or step < self.warmup_steps:
            return False
        values = [trial.intermediate_values[step]] if self.last else trial.intermediate_values.values()
        reported = [value for value in values if not math.isnan(value)]
        if not reported:
            return True
        others = self.curves[step]
        if not len(others):
            return False
        if study.direction == StudyDirection.MAXIMIZE:
            return bool(max(reported) < percentile_of(others, 100 - self.percentile))
        return bool(min(reported) > percentile_of(others, self.percentile))

    def _read(self, trials: list[FrozenTrial]) -> None:
        new: dict[int, list[float]] = defaultdict(list)
        for trial in trials:
            for step, value in trial.intermediate_values.items():
                if not math.isnan(value):
                    new[step].append(value)
        for step, values in new.items():
            known = self.curves[step]
            self.curves[step] = np.insert(known, np.searchsorted(known, sorted(values)), sorted(values))


def percentile_of(ascending: Floats, percentile: float) -> float:
    """`numpy.percentile` of sorted values, equal to the last digit."""
    place = (len(ascending) - 1) * (percentile / 100)
    below = min(math.floor(place), len(ascending) - 1)
    share = place - below
    low, high = float(ascending[below]), float(ascending[min(below + 1, len(ascending) - 1)])
    # numpy interpolates from the nearer end
    return high - (high - low) * (1 - share) if share >= 0.5 else low + (high - low) * share


class CachedHalving(SuccessiveHalvingPruner):
    """Optuna's successive halving."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._ended = NewTrials(*ENDED)
        self._trials: list[FrozenTrial] = []

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        self._trials += self._ended.of(study)
        view: Any = _Bracket(study, self._trials, lambda trial: True)
        return super().prune(view, trial)


class CachedHyperband(BasePruner):
    """Optuna's Hyperband. It is no subclass: with a subclass, Optuna shows samplers only the trials of one bracket."""

    def __init__(self, **settings: Any) -> None:
        self._brackets = _Brackets(**settings)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        return self._brackets.prune(study, trial)


class _Brackets(HyperbandPruner):
    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._ended = NewTrials(*ENDED)
        self._trials: dict[int, list[FrozenTrial]] = defaultdict(list)

    def _create_bracket_study(self, study: Study, bracket_id: int) -> Any:
        for trial in self._ended.of(study):
            self._trials[self._get_bracket_id(study, trial)].append(trial)
        return _Bracket(study, self._trials[bracket_id], lambda t: self._get_bracket_id(study, t) == bracket_id)


class _Bracket:
    """The part of a study that successive halving reads, with only the trials that compete with each other."""

    def __init__(self, study: Study, ended: list[FrozenTrial], competes: Any) -> None:
        self._study, self._ended, self._competes = study, ended, competes
        self._storage = study._storage
        self.direction = study.direction

    def get_trials(self, deepcopy: bool = False) -> list[FrozenTrial]:
        running = self._study.get_trials(deepcopy=False, states=OPEN)
        return [*self._ended, *(trial for trial in running if self._competes(trial))]
