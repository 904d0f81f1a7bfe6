"""A copy of one study's trials in memory, as this process last read or wrote them. No SQL here.

A trial is never changed once it was returned: a change replaces it by a changed copy.
"""

from __future__ import annotations

from collections.abc import Collection, Container
from datetime import datetime

from optuna.distributions import BaseDistribution, check_distribution_compatibility
from optuna.trial import FrozenTrial, TrialState

from hpo.storage.own_trials import is_ours

ENDED = frozenset(state for state in TrialState if state.is_finished())


class Mirror:
    """A copy of the trials of one study, in the order of their ids, which is the order of their numbers."""

    def __init__(self, study_id: int, name: str, *, registered: bool = False, mark: str | None = None) -> None:
        self.study_id = study_id
        self.name = name
        self.registered = registered
        """Whether this program registered the study."""
        self.mark = mark
        """Text of the marks on trials that this program begins; None: trials of this study are not marked."""
        self.trials: dict[int, FrozenTrial] = {}
        self.ids: dict[int, int] = {}
        """Trial number to trial id."""
        self.open: set[int] = set()
        """Trials that have not ended as far as this process knows."""
        self.own: set[int] = set()
        """Running trials that this process writes: other processes may end them, but report no values of them."""
        self.begun: set[int] = set()
        """Trials that this program began, see `own_trials`."""
        self.unread: set[int] = set()
        """Trials that this process ended and has not read since."""
        self.distributions: dict[str, BaseDistribution] = {}
        """The first distribution seen of each parameter of another program's study; all later ones must be compatible
        with it."""
        self.reopened: str | None = None
        """The database's text about how often ended trials were reopened, see `own_trials.REOPENED`."""
        self.last = -1
        """The highest trial id; every trial created from now on has a higher one."""
        self._selections: dict[tuple[frozenset[TrialState], bool], list[FrozenTrial]] = {}

    def put(self, trial: FrozenTrial) -> None:
        """Add a trial, or replace it by a changed copy."""
        trial_id = trial._trial_id
        before = self.trials.get(trial_id)
        self.trials[trial_id] = trial
        if before is None:
            self.ids[trial.number] = trial_id
            self.last = max(self.last, trial_id)
        if trial.state in ENDED or (before is not None and before.state in ENDED):
            self._selections.clear()
        if trial.state in ENDED:
            self.open.discard(trial_id)
            self.own.discard(trial_id)
        else:
            self.open.add(trial_id)

    def read(self, trial: FrozenTrial, *, begun: bool) -> None:
        """Add or replace a trial that was read from the database. `begun`: whether this program began it."""
        (self.begun.add if begun else self.begun.discard)(trial._trial_id)
        self.put(trial)
        self.unread.discard(trial._trial_id)
        if not self.registered:
            for name, distribution in trial.distributions.items():
                self.distributions.setdefault(name, distribution)

    def accept(self, name: str, distribution: BaseDistribution) -> None:
        """Check that a parameter has a compatible distribution in all trials; `ValueError` if it has not. In a study of
        this program, the study file decides, and an edit may change it."""
        if self.registered:
            return
        check_distribution_compatibility(self.distributions.setdefault(name, distribution), distribution)

    def select(self, states: Container[TrialState] | None, *, ours: bool = False) -> list[FrozenTrial]:
        """The trials in any of the states, in the order of their numbers; with `ours`, those of this program."""
        return list(self._selected(states, ours))

    def count(self, states: Container[TrialState] | None) -> int:
        """How many trials are in any of the states."""
        return len(self._selected(states, False))

    def _selected(self, states: Container[TrialState] | None, ours: bool) -> Collection[FrozenTrial]:
        wanted = frozenset(state for state in TrialState if states is None or state in states)
        if wanted.isdisjoint(ENDED):
            found: Collection[FrozenTrial] = [self.trials[id] for id in sorted(self.open)]
        elif wanted <= ENDED and (wanted, ours) in self._selections:
            return self._selections[wanted, ours]
        else:
            found = self.trials.values()
        if states is not None or ours:
            found = [t for t in found if t.state in wanted and (not ours or is_ours(t, self.begun))]
        if wanted <= ENDED:
            self._selections[wanted, ours] = list(found)
        return found


def copied(trial: FrozenTrial) -> FrozenTrial:
    """A shallow copy; its dictionaries are shared, so a change has to replace them."""
    copy = FrozenTrial.__new__(FrozenTrial)
    copy.__dict__.update(trial.__dict__)
    return copy


def detached(trial: FrozenTrial) -> FrozenTrial:
    """A copy with dictionaries of its own, for `optuna.trial.Trial`, which writes into the trial it gets."""
    copy = copied(trial)
    copy.params = dict(trial.params)
    copy.distributions = dict(trial.distributions)
    copy.user_attrs = dict(trial.user_attrs)
    copy.system_attrs = dict(trial.system_attrs)
    copy.intermediate_values = dict(trial.intermediate_values)
    return copy


def blank_trial(start: datetime) -> FrozenTrial:
    """A running trial without parameters, values or attributes."""
    return FrozenTrial(
        number=-1,
        trial_id=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=start,
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
