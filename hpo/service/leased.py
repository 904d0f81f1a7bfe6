"""Which trials of a study one worker trains: `LeasedOwnership`, by leases in the database.

Workers share the study's `concurrency`: each trains its share of it, and takes the trials of a silent worker. A single
worker asks for trials in the order in which `hpo run` asks.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Sequence
from threading import Event

from hpo import space
from hpo.checkpoints.worker_manager import WorkerCheckpoints
from hpo.registry import leases, queue
from hpo.registry.queue import Key, StudyStatus
from hpo.runtime.ownership import LostTrials, Turn
from hpo.runtime.resume import Behind
from hpo.runtime.session import Session
from hpo.storage.store import Store

log = logging.getLogger(__name__)

ALL_ENDED = "as all its trials have ended"
"""The reason to leave a study of which nothing is left but to conclude it."""

PRIORITY_CHECK_SECONDS = 5.0
"""Between two looks for a study of a higher priority."""
WAITING_SECONDS = 0.5
"""Between two looks, while another worker's next sign of life is waited for."""


def has_work(status: StudyStatus, budget: int, concurrency: int) -> bool:
    """Whether a worker that trains nothing of the study could do something for it."""
    if not status.active:
        return False
    if status.free > 0:
        return True
    if status.spent is not None or status.trials >= budget:
        return status.running == 0 and not status.concluding
    return status.running < concurrency


class LeaveReason:
    """Why a worker leaves a study that has work left: it is to end, or another study comes first."""

    def __init__(
        self,
        store: Store,
        status: StudyStatus,
        *,
        ending: Event,
        clock: Callable[[], float],
        has_work_in: Callable[[StudyStatus], bool],
    ) -> None:
        """`has_work_in`: whether the worker would find work in a study."""
        self.store = store
        self.status = status
        self.ending = ending
        self.clock = clock
        self.has_work_in = has_work_in
        self.looked = clock()

    def __call__(self) -> str | None:
        if self.ending.is_set():
            return "this worker is to end"
        if self.clock() - self.looked < PRIORITY_CHECK_SECONDS:
            return None
        self.looked = self.clock()
        for other in queue.queue(self.store):
            if other.priority <= self.status.priority:
                return None
            if self.has_work_in(other):
                return f"{other.name} comes first"
        return None


class LeasedOwnership:
    """The leases of worker `name` on one study."""

    def __init__(
        self,
        session: Session,
        manager: WorkerCheckpoints,
        name: str,
        lease_seconds: float,
        *,
        key: Key,
        leave: Callable[[], str | None],
        wait: Callable[[float], None],
    ) -> None:
        """`key`: of the study as it is to be trained. `leave` gives a reason of the worker's own to leave it, e.g. that
        the worker is to end; `wait` sleeps."""
        self.session = session
        self.manager = manager
        self.name = name
        self.lease_seconds = lease_seconds
        self.key = key
        self.leave = leave
        self.wait = wait
        self.budget = space.budget(session.spec)
        self.concurrency = session.spec.search.concurrency
        self.unknown: dict[str, float] | None = None
        """Workers that held trials when this one came, and have not given a sign of life since."""
        self.reason = ""
        """Why the study was left."""

    def turn(self, flight: Collection[int]) -> Turn | None:
        while True:
            status = queue.status(self.session.store, self.session.study_id)
            reason = self._reason(status)
            if status is None or reason is not None:
                self._leave(flight, reason or "deleted")
                return None
            taken = self._take(status, flight)
            held = len(flight) + len(taken)
            asking = status.spent is None and status.trials < self.budget and status.running < self.concurrency
            if held:
                asking = asking and held < self._share(status) and not self._unknown_workers()
                return Turn(take=taken, spent=status.spent, ask=asking)
            if not asking:
                self._leave(flight, ALL_ENDED if status.running == 0 else "as others train its last trials")
                return None
            if not self._unknown_workers():
                return Turn()
            self.wait(WAITING_SECONDS)

    def check(self) -> None:
        if queue.status_now(self.session.store, self.session.study_id).key != self.key:
            raise LostTrials("the study was changed while its trials were picked up.")

    def room(self, flight: int) -> int:
        store, study_id = self.session.store, self.session.study_id
        store.lock_study(study_id)
        status = queue.status(store, study_id)
        if status is None or not status.active or status.key != self.key or status.spent is not None:
            return 0
        return min(self._share(status) - flight, self.concurrency - status.running, self.budget - status.trials)

    def begin(self, trial_ids: Collection[int]) -> None:
        leases.grant(self.session.store, self.name, trial_ids)

    def confirm(self, trial_ids: Collection[int], *, completes: bool, cut: bool) -> None:
        # The study before the trials, as everywhere: else two processes could block each other.
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

    def behind(self, trials: Sequence[Behind]) -> None:
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
        if status.key != self.key:
            return "changed"
        return self.leave()

    def _leave(self, flight: Collection[int], reason: str) -> None:
        """Everything in flight is as the last transaction left it: any worker may go on with it."""
        leases.release(self.session.store, self.name, flight)
        self.reason = reason

    def _take(self, status: StudyStatus, flight: Collection[int]) -> list[int]:
        if status.free == 0:
            return []
        most = self._share(status) - len(flight)
        taken = leases.take(self.session.store, self.session.study_id, self.name, most)
        if taken:
            self.session.store.forget(self.session.study_id)  # others wrote them since we last looked
            self.manager.adopt(taken)
        return taken

    def _share(self, status: StudyStatus) -> int:
        return math.ceil(self.concurrency / max(status.workers, 1))

    def _unknown_workers(self) -> bool:
        """Whether a worker that was there before this one may be dead. Its trials would come back in a while: to ask
        before that would be to ask in another order than if it had not died."""
        if self.unknown == {}:
            return False
        found = leases.others(self.session.store, self.session.study_id, self.name)
        if self.unknown is None:
            self.unknown = found
        else:
            self.unknown = {name: at for name, at in self.unknown.items() if found.get(name) == at}
        return bool(self.unknown)
