"""Promotion: trials pause at rungs, numbers of epochs, and the best at each rung go on, also those that had paused.

At a rung, the best third of the trials that have arrived may go on (a half with `reduction_factor` 2, and so on). A
trial's place is by its value at the rung's epoch, so trials are compared after the same training, those in flight
among them. The others end as pruned, with their last state kept. As more trials arrive, one of them may come to belong
to the best third: then it goes on under its own number, before new trials begin. This is asynchronous successive
halving with promotion (ASHA, Li et al. 2018, arXiv:1810.05934). `progressive` and `waves` decide otherwise who goes on.

A trial that was lost, e.g. diverged, has arrived at every rung as the last one, however far it came.
"""

from __future__ import annotations

import math
from bisect import insort
from collections.abc import Iterable, Sequence

from optuna.trial import FrozenTrial, TrialState

from hpo import endings
from hpo.attributes import lengths
from hpo.endings import Ending
from hpo.search import objective
from hpo.studyfile.records import StudyTable

Place = tuple[float, int]
"""Of a trial at a rung: its value, so that lower is better, and its number."""


def is_paused(trial: FrozenTrial) -> bool:
    """Whether a trial waits at a rung: it ended there, and may go on."""
    return trial.state == TrialState.PRUNED and endings.of(trial.user_attrs).paused


class Promotion:
    """The places of a study's trials at its rungs, as `read` was last told. A trial is looked at only where it has
    changed, as reading a study must not take longer the more trials have ended."""

    def __init__(self, study: StudyTable, rungs: Sequence[int], *, factor: int, levels: bool = False) -> None:
        """`levels`: whether trials are compared by their levels, and not by their values."""
        self.study = study
        self.levels = levels
        self.rungs = tuple(rungs)
        self.factor = factor
        self.arrived: dict[int, list[Place]] = {rung: [] for rung in self.rungs}
        """Places at a rung, the best first."""
        self.paused: dict[int, FrozenTrial] = {}
        """By number."""
        self._places: dict[int, dict[int, Place]] = {rung: {} for rung in self.rungs}
        """By the trial's number."""
        self._wanted: set[int] = set()
        """Trials that run or have finished."""
        self._known: dict[int, FrozenTrial] = {}
        """As last read; a changed trial is another object."""

    def read(self, trials: Iterable[FrozenTrial]) -> None:
        """Notes what has changed about the trials of the study."""
        for trial in trials:
            if self._known.get(trial.number) is not trial:
                self._known[trial.number] = trial
                self._note(trial)

    def _note(self, trial: FrozenTrial) -> None:
        number, epochs = trial.number, len(trial.intermediate_values)
        self.paused.pop(number, None)
        if is_paused(trial):
            self.paused[number] = trial
        (self._wanted.add if trial.state in _WANTED else self._wanted.discard)(number)
        over = trial.state.is_finished() and number not in self.paused
        for rung, places in self._places.items():
            if not over and epochs < rung:
                break
            place = (self._value(trial, rung), number)
            if places.get(number, place) != place:  # it was lost after this rung
                self.arrived[rung].remove(places.pop(number))
            if number not in places:
                places[number] = place
                insort(self.arrived[rung], place)

    def goes_on(self, trial: FrozenTrial) -> bool:
        """Whether a running trial goes on after the epoch that it has just reported, of which `read` knows."""
        epochs = len(trial.intermediate_values)
        if epochs not in self.arrived or epochs == self.rungs[-1]:
            return True
        return self._places[epochs][trial.number] in self._best(epochs)

    def promotable(self, *, last: bool) -> list[FrozenTrial]:
        """Paused trials that may go on: the highest rung first, there the best first. With `last` no more trials will
        begin: then the best paused one goes on, whatever its place, if nothing runs and no trial would ever finish."""
        found: list[FrozenTrial] = []
        for rung in reversed(self.rungs[:-1]):
            found += self._waiting(rung, self._best(rung))
        # Since an edit, the first rung may be beyond where they have paused.
        found += (self.paused[number] for number in sorted(self.paused) if self.rung_of(self.paused[number]) is None)
        return found or (self._last() if last else [])

    def _last(self) -> list[FrozenTrial]:
        """Paused trials that go on only because no more will begin."""
        return [] if self._wanted else [self.paused[number] for number in self.order() if number in self.paused][:1]

    def rung_of(self, trial: FrozenTrial) -> int | None:
        """The highest rung that a trial has reached; None below the first."""
        return max((rung for rung in self.rungs if rung <= len(trial.intermediate_values)), default=None)

    def order(self) -> list[int]:
        """Numbers of all trials that have arrived at the first rung, the best first.

        Trials are ordered by their values at the first rung. Then those that arrived at the next rung are ordered
        anew, by their values there, within the places that they hold; and so on. So every two trials are compared
        after the same training, and a rung that only the best have reached says nothing about the others.
        """
        numbers = [number for _, number in self.arrived[self.rungs[0]]]
        for rung in self.rungs[1:]:
            known = self._places[rung]
            held = [place for place, number in enumerate(numbers) if number in known]
            for place, (_, number) in zip(held, self.arrived[rung], strict=True):
                numbers[place] = number
        return numbers

    def ranks(self) -> dict[int, int]:
        """Places in that order by number, from 0; lost trials share one, and so do trials of the same levels at all
        rungs."""
        lost = len(self.arrived[self.rungs[0]]) - sum(math.isinf(value) for value, _ in self.arrived[self.rungs[0]])
        found: dict[int, int] = {}
        former, shared = None, 0
        for place, number in enumerate(self.order()):
            known = [places[number][0] for places in self._places.values() if number in places]
            if not self.levels or known != former:
                former, shared = known, place
            found[number] = min(shared, lost)
        return found

    def kept(self, *, most: int) -> list[FrozenTrial]:
        """Those paused trials whose last state is kept: the `most` best at each rung. Others can go on, too, but are
        trained again up to their rung."""
        return [trial for rung in self.rungs[:-1] for trial in self._waiting(rung, self.arrived[rung])[:most]]

    def _waiting(self, rung: int, places: Iterable[Place]) -> list[FrozenTrial]:
        """Those of the trials at these places that have paused at the rung."""
        here = (self.paused[number] for _, number in places if number in self.paused)
        return [trial for trial in here if self.rung_of(trial) == rung]

    def _best(self, rung: int) -> list[Place]:
        """Places of the trials that may go on from a rung, the best first."""
        return self.arrived[rung][: len(self.arrived[rung]) // self.factor]

    def _value(self, trial: FrozenTrial, rung: int) -> float:
        """The trial's value at a rung, so that lower is better; infinite if the trial was lost."""
        curve = [trial.intermediate_values[epoch] for epoch in sorted(trial.intermediate_values)[:rung]]
        value = objective.level(curve) if self.levels and curve else objective.trial_value(self.study, curve)
        lost = trial.state == TrialState.FAIL or endings.of(trial.user_attrs).why in _LOST
        if lost or value is None or math.isnan(value):
            return math.inf
        return value if self.study.minimized else -value


_LOST = (Ending.DIVERGED, Ending.UNDEFINED, Ending.FAILED, Ending.REFUSED)
_WANTED = (TrialState.RUNNING, TrialState.COMPLETE)


def lengthened(rungs: Sequence[int], epochs: int, *, factor: int) -> tuple[int, ...]:
    """The rungs of a study whose trials have got more epochs: those that it began with below its last epoch, so that
    trials stay where they have paused, then its last epoch times powers of the factor, and the new last one."""
    *below, last = rungs
    while last * factor <= epochs:
        below.append(last)
        last *= factor
    return (*below, epochs)


def epochs_at_first(trials: Iterable[FrozenTrial], epochs: int) -> int:
    """How many epochs trials had when the study began. `epochs`: as many as they have now."""
    noted = (trial.system_attrs.get(lengths.ATTRIBUTE, ()) for trial in trials)
    return min((pairs[0][1] for pairs in noted if pairs), default=epochs)
