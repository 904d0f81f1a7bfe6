"""Which trials of a study a process may train: all (`SoleOwnership`), or those it holds leases on (`service.leased`).

The coordinator asks the ownership before each epoch what to do next, and at the end of each transaction whether it
still owns its trials. It reports which trials begin and end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from optuna.trial import TrialState

from hpo import space
from hpo.endings import Spent
from hpo.registry import edits, studies
from hpo.runtime.resume import Behind
from hpo.runtime.session import Session
from hpo.runtime.setup.specs import spent_by

EDIT_CHECK_SECONDS = 0.5
"""Time between two checks whether somebody has edited the study, while no edit waits for its place."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """What the coordinator does before the next epoch."""

    take: Collection[int] = ()
    """Ids of running trials to continue, besides those in flight."""
    spent: Spent | None = None
    """The budget that is spent, so that all trials in flight have to end; None where none is."""
    ask: bool = True
    """Whether there may be room for new trials. `Ownership.room` says how much, in the transaction that creates
    them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Room:
    """How many more trials may be in flight."""

    free: int
    """Trials in all, new ones and those that had paused."""
    new: int
    """New ones among them, by the budget of trials; may be more than `free`."""


class LostTrials(Exception):
    """This process no longer owns its trials in flight, for the reason in the message. Nothing of the epoch is
    written."""


class Ownership(Protocol):
    """The trials of one study that one process owns."""

    def turn(self, flight: Collection[int]) -> Turn | None:
        """What to do next, given the ids of the trials in flight; None to leave the study. May wait for other
        workers."""

    def check(self) -> None:
        """First call in a transaction: raises `LostTrials` if the study was changed since the coordinator read it.
        Keeps it from being changed until the commit."""

    def room(self, flight: int) -> Room:
        """In a transaction: how many trials may be created or go on, with `flight` trials in flight."""

    def begin(self, trial_ids: Collection[int]) -> None:
        """In a transaction: takes ownership of trials that were just created, or that had paused and go on."""

    def confirm(self, trial_ids: Collection[int], *, completes: bool, cut: bool) -> None:
        """Last call in a transaction: raises `LostTrials` unless this process owns all these trials until the commit.
        Where one of them `completes` its last epoch, it also raises if trials have got more epochs since; where they
        are `cut`, if no budget is spent any more."""

    def end(self, trial_ids: Collection[int]) -> None:
        """In a transaction: gives up ownership of trials that have ended."""

    def report_behind(self, trials: Sequence[Behind]) -> None:
        """Records which of the trials just taken have epochs that are trained again."""


class SoleOwnership:
    """Ownership of all trials, for the only process that trains the study."""

    def __init__(self, session: Session, keep: Callable[[], None] = lambda: None) -> None:
        """`keep`, called in each transaction, makes its commit fail if this process has lost the study."""
        self.session = session
        self.keep = keep
        self.budget = space.budget(session.spec)
        search = session.spec.search
        self.budgeted = any(limit is not None for limit in (search.epochs, search.wall_seconds, search.cpu_seconds))
        self.begun = False
        self.edited = False
        """Whether it left the study because an edit is to take effect."""
        self._awaited = edits.next_place(session.store, session.study_id)
        """Where the next edit takes effect, as far as this process knows."""
        self._looked = time.monotonic()

    def turn(self, flight: Collection[int]) -> Turn | None:
        self.edited = self._is_edited()
        if self.edited:
            return None
        if not self.begun:
            self.begun = True
            running = [t._trial_id for t in self.session.searcher.all_trials() if t.state == TrialState.RUNNING]
            return Turn(take=running, spent=self._spent())
        spent = self._spent()
        ask = len(flight) < self.session.spec.concurrency
        return Turn(spent=spent, ask=ask) if flight or (spent is None and self._has_more()) else None

    def check(self) -> None:
        self.keep()

    def room(self, flight: int) -> Room:
        self.keep()
        return Room(free=self.session.spec.concurrency - flight, new=self._left())

    def begin(self, trial_ids: Collection[int]) -> None:
        """Nothing to do: no other process could take them."""

    def confirm(self, trial_ids: Collection[int], *, completes: bool, cut: bool) -> None:
        self.keep()

    def end(self, trial_ids: Collection[int]) -> None:
        """Nothing to do: there are no leases."""

    def report_behind(self, trials: Sequence[Behind]) -> None:
        """Nothing to record: the epochs are trained again with the same outcome."""

    def _is_edited(self) -> bool:
        now = time.monotonic()
        if self._awaited is None and now - self._looked < EDIT_CHECK_SECONDS:
            return False
        self._looked = now
        self._awaited = edits.next_place(self.session.store, self.session.study_id)
        return self._awaited is not None and edits.is_due(self.session.store, self.session.study_id)

    def _has_more(self) -> bool:
        return self._left() > 0 or bool(self.session.searcher.promotable(last=True))

    def _left(self) -> int:
        return self.budget - len(self.session.searcher.all_trials())

    def _spent(self) -> Spent | None:
        if not self.budgeted:
            return None
        return spent_by(self.session.spec, studies.study_row(self.session.store, self.session.spec.study.name))
