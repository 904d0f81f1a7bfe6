"""A worker of the service: it takes work from the studies in the database until it is told to end, and holds nothing
that another worker could not go on with.

Whatever goes wrong with the database, it drops what it has in memory and begins again from what is saved, which costs
the epoch in hand. What goes wrong with one study is noted, and the study left to others; a connection that is lost is
no study's fault.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError

from hpo.checkpoints.store import CheckpointStore
from hpo.checkpoints.worker_manager import WorkerCheckpoints
from hpo.database.faults import lost_connection
from hpo.errors import InputError, RefusedStatementError, StorageError
from hpo.execution.executor import Executor
from hpo.execution.in_process import InProcessShard
from hpo.execution.resources import Resources
from hpo.registry import leases, queue, studies
from hpo.registry.queue import Key, StudyStatus
from hpo.runtime import coordinator
from hpo.runtime.heartbeat import Heartbeat, name_of_this_process
from hpo.runtime.ownership import LostTrials
from hpo.runtime.progress import Lines, Observer, Progress
from hpo.runtime.registration import circumstances
from hpo.runtime.session import Session
from hpo.runtime.winner import find, note
from hpo.service.backoff import Backoff
from hpo.service.candidates import Candidate, Sessions
from hpo.service.leased import OVER, LeasedOwnership, Leave, has_work
from hpo.service.modules import Modules
from hpo.storage.store import Store

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 2.0
"""The pauses of a worker without work double from the first to the longest ..."""
PAUSE_SECONDS_PER_WORKER = 0.25
"""... or, where many workers look for work, to this times their number: all of them look four times a second."""
ALL_MODULES = Modules()


class Worker:
    """One process of the service."""

    def __init__(
        self,
        store: Store,
        home: Path,
        checkpoint_store: CheckpointStore,
        resources: Resources,
        *,
        lease_seconds: float,
        names: Collection[str] = (),
        modules: Modules = ALL_MODULES,
    ) -> None:
        """`lease_seconds`: how long it may be silent before others take its trials. `names`: the studies to work on;
        none given: all. `modules`: those of studies' own that it runs."""
        self.store = store
        self.checkpoint_store = checkpoint_store
        self.resources = resources
        self.names = frozenset(names)
        self.lease_seconds = lease_seconds
        self.name = name_of_this_process()
        self.ending = threading.Event()
        """Set it to have the worker finish the epoch in hand, give everything back and return."""
        self.heartbeat = Heartbeat(store, self.name, lease_seconds)
        self.backoff = Backoff(self.heartbeat.clock)
        self.announced: int | None = None
        """The study that the database says this worker works on, or waits for a place in."""
        self._holds = False
        """Whether it may hold trials."""
        self._told: dict[str, str] = {}
        """The backoff that the database has."""
        self._candidates: dict[Key, Candidate] = {}
        self._sessions = Sessions(store, home, checkpoint_store, resources, modules)
        self._jitter = random.Random()

    def run(self) -> None:
        """Works until `ending` is set."""
        self.heartbeat.start()
        pause = FIRST_PAUSE_SECONDS
        try:
            while not self.ending.is_set():
                try:
                    worked = self._work()
                except StorageError as error:
                    log.warning("%s Trying again.", error.finding)
                    worked = False
                if worked:
                    pause = FIRST_PAUSE_SECONDS
                else:
                    self.ending.wait(pause * self._jitter.uniform(0.5, 1.5))
                    pause = min(
                        2 * pause, max(LONGEST_PAUSE_SECONDS, PAUSE_SECONDS_PER_WORKER * self.heartbeat.workers)
                    )
        finally:
            self.heartbeat.stop()
            try:
                leases.resign(self.store, self.name)
            except StorageError as error:
                log.warning("%s What this worker held is free when its lease ends.", error.finding)

    def _work(self) -> bool:
        """Works on the first study for which something can be done; False if there is none."""
        self._let_go()
        self._tell_complaints()
        found = queue.queue(self.store, self.name)
        self._forget_all_but({now.key for now in found})
        for now in found:
            if self._suits(now) and self._serve(now):
                return True
            if self.ending.is_set():
                return False
        self._announce_interest(found)
        return False

    def _let_go(self) -> None:
        """Gives back what it still holds and does not train, because something went wrong."""
        if self._holds:
            leases.give_back(self.store, self.name)
            self._holds = False

    def _forget_all_but(self, keys: Collection[Key]) -> None:
        self._candidates = {key: candidate for key, candidate in self._candidates.items() if key in keys}
        self._sessions.keep(keys)
        self.backoff.keep(keys)
        self._tell_complaints()

    def _announce_interest(self, found: Sequence[StudyStatus]) -> None:
        """Lets the workers of a study whose places are all taken know that there is one more to share them with."""
        wanted = None
        for now in found:
            candidate = self._candidate(now)
            places = candidate.spec.search.concurrency if candidate else 0
            others = now.workers - (self.announced == now.study_id)
            if candidate and now.spent is None and now.trials < candidate.budget and others < places:
                wanted = now.study_id
                break
        if wanted != self.announced:
            self._turn_to(wanted)

    def _turn_to(self, study_id: int | None) -> None:
        leases.turn_to(self.store, self.name, study_id)
        self.announced = study_id

    def _suits(self, now: StudyStatus) -> bool:
        candidate = self._candidate(now)
        return candidate is not None and has_work(now, candidate.budget, candidate.spec.search.concurrency)

    def _candidate(self, now: StudyStatus) -> Candidate | None:
        """None where this worker is not to work on the study, or cannot."""
        if (self.names and now.name not in self.names) or self.backoff.bar(now.key):
            return None
        if now.key not in self._candidates:
            try:
                self._candidates[now.key] = Candidate.of(studies.study_row(self.store, now.name))
            except InputError as error:
                self._complain(now, str(error))
        return self._candidates.get(now.key)

    def _serve(self, now: StudyStatus) -> bool:
        """Works on a study until there is a reason to leave it; whether anything was trained or concluded."""
        lines = Lines(now.name)
        concluded = False

        def observe(progress: Progress) -> None:
            lines(progress)
            if progress.epochs:
                self.backoff.worked(now.key)
                self._tell_complaints()

        try:
            concluded = self._attempt(now, observe)
        except _Ending:
            log.info("%s: left, this worker is to end; another one concludes it", now.name)
        except LostTrials as error:
            log.warning("%s: %s This one drops its lanes and goes on from what is saved.", now.name, error)
        except Exception as error:
            self._meet(now, error)
        finally:
            self.store.forget(now.study_id)
        self._let_go()
        self._turn_to(None)
        return concluded or lines.epochs > 0

    def _meet(self, now: StudyStatus, error: Exception) -> None:
        """Whatever went wrong while it worked on a study must not end the worker."""
        lost = lost_connection(error)
        databases = lost or (error if isinstance(error, (StorageError, UpdateFinishedTrialError)) else None)
        if databases is None or isinstance(error, RefusedStatementError):
            self._give_up(now, error)
        elif lost or not self.backoff.failed(now.key):
            log.warning("%s: %s Going on from what is saved.", now.name, getattr(databases, "finding", databases))
        else:
            self._give_up(now, error)

    def _attempt(self, now: StudyStatus, observe: Observer) -> bool:
        """`_train`, where it does not matter what went wrong with a study that is no more."""
        try:
            return self._train(now, observe)
        except Exception:
            if not self._is_deleted(now):
                raise
            log.info("%s: deleted", now.name)
            return False

    def _is_deleted(self, now: StudyStatus) -> bool:
        found = queue.status(self.store, now.study_id)
        return found is None or found.created_at != now.created_at

    def _train(self, now: StudyStatus, observe: Observer) -> bool:
        """Trains until there is a reason to leave the study; whether it was this worker who concluded it."""
        try:
            session = self._sessions.session(self._candidates[now.key])
        except (InputError, OSError) as error:
            if self._is_deleted(now):
                raise
            self._complain(now, str(error))
            return False
        self._turn_to(now.study_id)
        self._holds = True
        manager = WorkerCheckpoints(session.checkpoints, self.checkpoint_store, self.name)
        ownership = LeasedOwnership(
            session,
            manager,
            self.name,
            self.lease_seconds,
            key=now.key,
            leave=Leave(self.store, now, ending=self.ending, clock=self.heartbeat.clock, suits=self._suits),
            wait=self._wait,
        )
        with Executor(
            lambda: InProcessShard(session.job), workers=1, replicas=session.job.examples.replicas, shares_files=False
        ) as executor:
            coordinator.run(session, executor, observe, ownership, manager)
        self._holds = False
        log.info("%s: left, %s", now.name, ownership.reason)
        concluded = ownership.reason == OVER and self._conclude(session, manager, now)
        manager.leave()
        return concluded

    def _conclude(self, session: Session, manager: WorkerCheckpoints, now: StudyStatus) -> bool:
        """Scores the winner, if this worker is the one to do it."""
        if not queue.begin_conclusion(self.store, now.study_id, self.name, now.generation):
            return False
        winner, leftovers = find(session, self._go_on), manager.leftovers()
        with self.store.transaction() as transaction:
            transaction.lock_study(now.study_id)  # before its other rows, as whoever extends it
            if not queue.finish(self.store, now.study_id, self.name, now.generation):
                log.info("%s: goes on, or another worker concludes it", now.name)
                return False
            note(session, winner, circumstances(session.spec, session.inputs, self.resources.device))
            manager.clear(leftovers)
        manager.sweep()
        best = f"the winner is trial {winner.number}" if winner else "no trial finished"
        log.info("%s: ended; %s", now.name, best)
        return True

    def _go_on(self) -> None:
        if self.ending.is_set():
            raise _Ending

    def _wait(self, seconds: float) -> None:
        self.ending.wait(seconds)

    def _complain(self, now: StudyStatus, text: str) -> None:
        if self.backoff.texts.get(now.name) != text:
            log.warning("%s: left to other workers for a while: %s", now.name, text)
        self.backoff.add(now.key, now.name, text)
        self._tell_complaints()

    def _give_up(self, now: StudyStatus, error: Exception) -> None:
        """What went wrong is the study's own."""
        log.error("%s: this worker cannot work on it", now.name, exc_info=error)
        self._complain(now, f"{type(error).__name__}: {getattr(error, 'finding', error)}")

    def _tell_complaints(self) -> None:
        """Tells people what has changed about them; again, where that could not be written before."""
        texts = self.backoff.texts
        if texts != self._told:
            leases.complain(self.store, self.name, texts)
            self._told = texts


class _Ending(Exception):
    """The worker is to end, in the middle of something that another one can do."""
