"""Which trials of a study a process may train: all of them (`SoleOwnership`), or those it holds leases on (`leased`).

The coordinator asks before each epoch what it may do, at the end of each transaction whether its trials are still its
own, and says which trials begin and end.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from optuna.trial import TrialState

from hpo import space
from hpo.endings import Spent
from hpo.registry import studies
from hpo.runtime.budgets import spent_by
from hpo.runtime.resume import Behind
from hpo.runtime.session import Session


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What may be done before the next epoch."""

    take: Collection[int] = ()
    """Ids of running trials to go on with, besides those in flight."""
    spent: Spent | None = None
    """The budget that is spent, so that everything in flight has to end; None: none is."""
    ask: bool = True
    """Whether there may be room for new trials; how much is said in the transaction that creates them."""


class LostTrials(Exception):
    """Trials in flight are not this process's any more. Nothing of the epoch is written; the message says why."""


class Ownership(Protocol):
    """One process's claim on trials of one study."""

    def turn(self, flight: Collection[int]) -> Turn | None:
        """What to do next, given the ids of the trials in flight; None to leave the study. It may wait."""

    def check(self) -> None:
        """First of all in a transaction: raises `LostTrials` unless the study is, until it is committed, as the
        coordinator knows it."""

    def room(self, flight: int) -> int:
        """In a transaction: how many trials may be created beside so many in flight."""

    def begin(self, trial_ids: Collection[int]) -> None:
        """In a transaction: trials that were just created are trained here."""

    def confirm(self, trial_ids: Collection[int], *, completes: bool, cut: bool) -> None:
        """At the end of a transaction: raises `LostTrials` unless all these are this process's own until it is
        committed and, if one of them `completes` its last epoch, have no more epochs than the coordinator knows of; if
        they are `cut`, unless a budget is still spent."""

    def end(self, trial_ids: Collection[int]) -> None:
        """In a transaction: trials have ended."""

    def behind(self, trials: Sequence[Behind]) -> None:
        """These of the trials just taken are trained again, in part or all."""


class SoleOwnership:
    """The only process that trains the study."""

    def __init__(self, session: Session, keep: Callable[[], None] = lambda: None) -> None:
        """`keep`, called in each transaction, raises if the study is not this process's any more."""
        self.session = session
        self.keep = keep
        self.budget = space.budget(session.spec)
        search = session.spec.search
        self.budgeted = any(limit is not None for limit in (search.epochs, search.wall_seconds, search.cpu_seconds))
        self.begun = False

    def turn(self, flight: Collection[int]) -> Turn | None:
        if not self.begun:
            self.begun = True
            running = [t._trial_id for t in self.session.searcher.all_trials() if t.state == TrialState.RUNNING]
            return Turn(take=running, spent=self._spent())
        spent = self._spent()
        return Turn(spent=spent) if flight or (spent is None and self._left() > 0) else None

    def check(self) -> None:
        self.keep()

    def room(self, flight: int) -> int:
        self.keep()
        return min(self.session.spec.search.concurrency - flight, self._left())

    def begin(self, trial_ids: Collection[int]) -> None:
        """Nobody else is there who could take them."""

    def confirm(self, trial_ids: Collection[int], *, completes: bool, cut: bool) -> None:
        self.keep()

    def end(self, trial_ids: Collection[int]) -> None:
        """There was no lease."""

    def behind(self, trials: Sequence[Behind]) -> None:
        """The epochs are trained again with the same outcome."""

    def _left(self) -> int:
        return self.budget - len(self.session.searcher.all_trials())

    def _spent(self) -> Spent | None:
        if not self.budgeted:
            return None
        return spent_by(self.session.spec, studies.study_row(self.session.store, self.session.spec.study.name))
