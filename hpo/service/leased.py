"""Which trials of a study one worker trains: `LeasedOwnership`, by leases in the database.

Workers divide the study's `concurrency` equally among them, and take over the trials of workers whose leases have
expired. A single worker asks for trials in the order in which `hpo run` asks.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Sequence
from threading import Event

from hpo import space
from hpo.checkpoints.manager import CheckpointManager
from hpo.registry import leases, queue
from hpo.registry.queue import Key, StudyStatus
from hpo.runtime.ownership import LostTrials, Room, Turn
from hpo.runtime.resume import Behind
from hpo.runtime.session import Session
from hpo.storage.store import Store

log = logging.getLogger(__name__)

ALL_ENDED = "as all its trials have ended"
"""The reason to leave a study that has nothing left to train, so that it can be concluded."""

PRIORITY_CHECK_SECONDS = 5.0
"""Time between two checks whether a study of higher priority needs a worker."""
WAITING_SECONDS = 0.5
"""Time between two checks whether another worker has sent a heartbeat."""


def has_work(status: StudyStatus, budget: int, concurrency: int) -> bool:
    """Whether a worker that holds no trials of the study could train or conclude some of it."""
    if not status.active or status.edited:
        return False
    if status.free > 0:
        return True
    if status.spent is not None or status.trials >= budget:
        return status.running == 0 and not status.concluding
    return status.running < concurrency


class LeaveReason:
    """Tells why a worker is to leave a study that has work left: the worker is to end, or another study has
    priority."""

    def __init__(
        self,
        store: Store,
        status: StudyStatus,
        *,
        ending: Event,
        clock: Callable[[], float],
        has_work_in: Callable[[StudyStatus], bool],
    ) -> None:
        """`status`: of the study that the worker works on. `ending`: set when the worker is to end. `has_work_in`:
        whether the worker could work on a study."""
        self.store = store
        self.status = status
        self.ending = ending
        self.clock = clock
        self.has_work_in = has_work_in
        self._checked = clock()

    def __call__(self) -> str | None:
        """The reason to leave; None to stay. The queue is read every `PRIORITY_CHECK_SECONDS`."""
        if self.ending.is_set():
            return "this worker is to end"
        if self.clock() - self._checked < PRIORITY_CHECK_SECONDS:
            return None
        self._checked = self.clock()
        for other in queue.queue(self.store):
            if other.priority <= self.status.priority:
                return None
            if self.has_work_in(other):
                return f"{other.name} comes first"
        return None


class LeasedOwnership:
    """Ownership of the trials of one study on which the worker `name` holds leases."""

    def __init__(
        self,
        session: Session,
        manager: CheckpointManager,
        name: str,
        lease_seconds: float,
        *,
        key: Key,
        leave: Callable[[], str | None],
        wait: Callable[[float], None],
    ) -> None:
        """`key`: identifies the generation of the study that is trained. `leave` returns the worker's own reason to
        leave the study, e.g. that the worker is to end, or None; `wait` sleeps for some seconds."""
        self.session = session
        self.manager = manager
        self.name = name
        self.lease_seconds = lease_seconds
        self.key = key
        self.leave = leave
        self.wait = wait
        self.budget = space.budget(session.spec)
        self.concurrency = session.spec.concurrency
        self._unconfirmed: dict[str, float] | None = None
        """Worker -> when its lease expires, for the workers that held trials when this one began and have sent no
        heartbeat since; None: not read yet."""
        self.halt: Callable[[], None] = lambda: None
        """Called before trials in flight are released; when it returns, none of them trains here any more."""
        self.reason = ""
        """Why the worker left the study; empty until then."""

    def turn(self, flight: Collection[int]) -> Turn | None:
        while True:
            status = queue.status(self.session.store, self.session.study_id)
            reason = self._reason(status)
            if status is None or reason is not None:
                self._leave(flight, reason or "deleted")
                return None
            taken = self._take(status, flight)
            held = len(flight) + len(taken)
            asking = status.spent is None and status.running < self.concurrency and self._has_more(status)
            if held:
                asking = asking and held < self._share(status) and not self._has_unconfirmed_workers()
                return Turn(take=taken, spent=status.spent, ask=asking)
            if not asking:
                self._leave(flight, ALL_ENDED if status.running == 0 else "as others train its last trials")
                return None
            if not self._has_unconfirmed_workers():
                return Turn()
            self.wait(WAITING_SECONDS)

    def check(self) -> None:
        if queue.status_now(self.session.store, self.session.study_id).key != self.key:
            raise LostTrials("the study was changed while its trials were picked up.")

    def room(self, flight: int) -> Room:
        store, study_id = self.session.store, self.session.study_id
        store.lock_study(study_id)
        status = queue.status(store, study_id)
        if status is None or not status.active or status.key != self.key or status.edited or status.spent is not None:
            return Room(free=0, new=0)
        free = min(self._share(status) - flight, self.concurrency - status.running)
        return Room(free=free, new=self.budget - status.trials)

    def begin(self, trial_ids: Collection[int]) -> None:
        leases.grant(self.session.store, self.name, trial_ids)

    def confirm(self, trial_ids: Collection[int], *, completes: bool, cut: bool) -> None:
        # Locks are taken in one order everywhere, the study before its trials: else two processes could deadlock.
        if completes or cut:
            status = queue.status_now(self.session.store, self.session.study_id)
            if completes and (status.trial_epochs or 0) > self.session.searcher.epochs:
                raise LostTrials("trials have got more epochs while they trained their last.")
            if cut and status.spent is None:
                raise LostTrials("the study has got a larger budget while trials were cut.")
        lost = leases.lost(self.session.store, self.name, trial_ids, self.lease_seconds)
        if lost:
            raise LostTrials(f"{len(lost)} trials were taken by other workers, or ended, while this one was silent.")

    def end(self, trial_ids: Collection[int]) -> None:
        leases.release(self.session.store, self.name, trial_ids)

    def report_behind(self, trials: Sequence[Behind]) -> None:
        for why, damaged in (("their checkpoint cannot be read", True), ("their last state was not kept", False)):
            these = [behind for behind in trials if behind.damaged == damaged]
            for behind in these:
                text = f"epoch {behind.saved + 1} to {behind.reported} trained again: {why}"
                self.session.store.set_trial_user_attr(behind.trial.trial_id, "restarted", text)
            if these:
                numbers = ", ".join(str(behind.trial.number) for behind in these)
                epochs = sum(behind.reported - behind.saved for behind in these)
                text = "%s: epochs of trials %s are trained again, %d in all: %s"
                log.warning(text, self.session.spec.study.name, numbers, epochs, why)

    def _reason(self, status: StudyStatus | None) -> str | None:
        if status is None:
            return "deleted"
        if not status.active:
            return "stopped"
        if status.key != self.key or status.edited:
            return "changed"
        return self.leave()

    def _has_more(self, status: StudyStatus) -> bool:
        return status.trials < self.budget or bool(self.session.searcher.promotable(last=True))

    def _leave(self, flight: Collection[int], reason: str) -> None:
        """Releases the trials in flight. Any worker can continue them, as the last transaction has saved them."""
        self.halt()
        leases.release(self.session.store, self.name, flight)
        self.reason = reason

    def _take(self, status: StudyStatus, flight: Collection[int]) -> list[int]:
        if status.free == 0:
            return []
        most = self._share(status) - len(flight)
        taken = leases.take(self.session.store, self.session.study_id, self.name, most)
        if taken:
            self.session.store.forget(
                self.session.study_id
            )  # other workers have written these trials since they were last read
            self.manager.adopt(taken)
        return taken

    def _share(self, status: StudyStatus) -> int:
        return math.ceil(self.concurrency / max(status.workers, 1))

    def _has_unconfirmed_workers(self) -> bool:
        """Whether a worker that began before this one may be dead. If it is, its trials become free when its lease
        expires. New trials are asked for only then, so that the order of asking is the same as without the death."""
        if self._unconfirmed == {}:
            return False
        found = leases.others(self.session.store, self.session.study_id, self.name)
        if self._unconfirmed is None:
            self._unconfirmed = found
        else:
            self._unconfirmed = {name: at for name, at in self._unconfirmed.items() if found.get(name) == at}
        return bool(self._unconfirmed)
