"""Trials whose values are given before the sampler draws any: those that other programs enqueued, and starts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo.attributes import starts
from hpo.attributes.starts import Start
from hpo.endings import Ended, Ending
from hpo.search import enqueued
from hpo.space import Parameter

log = logging.getLogger(__name__)


class TrialStore(Protocol):
    """What the searcher needs beyond Optuna's storage contract."""

    def create_trials(self, study_id: int, count: int) -> list[int]:
        """Creates running trials with consecutive numbers and returns their ids."""

    def waiting_trials(self, study_id: int) -> list[FrozenTrial]:
        """The trials that other programs have enqueued, by number."""

    def begin(self, trial_id: int) -> bool:
        """Makes a waiting trial a running one of this program; False if another process was first."""


class Queue:
    """What the next trials of one study begin with."""

    def __init__(
        self,
        name: str,
        storage: BaseStorage,
        trials: TrialStore,
        study_id: int,
        parameters: Sequence[Parameter],
        first: Sequence[Start],
    ) -> None:
        """`name`: of the study. `first`: its starts, the first one first."""
        self.name = name
        self.storage = storage
        self.trials = trials
        self.study_id = study_id
        self.parameters = parameters
        self.starts = first

    def take(self, count: int) -> list[int]:
        """Begins enqueued trials, at most `count`, and returns their ids. Those that the study cannot train are ended
        and do not count towards the budget."""
        taken: list[int] = []
        for trial in self.trials.waiting_trials(self.study_id):
            if len(taken) == count:
                break
            reason = enqueued.refusal(trial, self.parameters)
            if reason is None and self.trials.begin(trial._trial_id):
                taken.append(trial._trial_id)
            elif reason is not None:
                self._refuse(trial, reason)
        return taken

    def _refuse(self, trial: FrozenTrial, reason: str) -> None:
        try:
            if not self.storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING):
                return
        except UpdateFinishedTrialError:
            return
        log.warning("%s: trial %d, which was enqueued, is refused. %s.", self.name, trial.number, reason)
        for key, value in Ended(why=Ending.REFUSED, detail=reason).attributes().items():
            self.storage.set_trial_user_attr(trial._trial_id, key, value)
        self.storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)

    def give_starts(self, trial_ids: Iterable[int], all_trials: Callable[[], Iterable[FrozenTrial]]) -> None:
        """Gives new trials the starts that none has had and that the study, which may have been edited, still
        allows."""
        if not self.starts:
            return
        had = {trial.system_attrs.get(starts.PLACE) for trial in all_trials()}
        left = [place for place, start in enumerate(self.starts) if place not in had and self._allows(start)]
        for trial_id, place in zip(trial_ids, left, strict=False):
            start = self.starts[place]
            self.storage.set_trial_system_attr(trial_id, starts.PLACE, place)
            self.storage.set_trial_system_attr(trial_id, enqueued.FIXED, dict(start.values))
            self.storage.set_trial_user_attr(trial_id, starts.ATTRIBUTE, str(start))
        if not left:
            self.starts = ()

    def _allows(self, start: Start) -> bool:
        return enqueued.contradiction(start.values, self.parameters) is None
