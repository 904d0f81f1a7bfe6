"""A worker of the service: works on the submitted studies in the database until it is told to end.

Everything that a worker trained up to the last epoch is saved, so another worker can continue its trials at any time.
After an error of the database, the worker drops what it has in memory and continues from what is saved; the current
epoch is trained again. After an error of one study, the worker records the reason and backs off from that study. A lost
connection never counts as an error of a study.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Collection, Sequence
from pathlib import Path

from optuna.exceptions import UpdateFinishedTrialError

from hpo.checkpoints.store import CheckpointStore
from hpo.database.faults import lost_connection
from hpo.errors import HopelessError, InputError, RefusedStatementError, StorageError
from hpo.execution.resources import Resources
from hpo.execution.shard import InProcessShard
from hpo.registry import leases, queue, studies
from hpo.registry.queue import Key, StudyStatus
from hpo.runtime.editing import take_up
from hpo.runtime.heartbeat import Heartbeat, name_of_this_process
from hpo.runtime.ownership import LostTrials
from hpo.runtime.progress import Lines, Observer, Progress
from hpo.service.attempt import Attempt, EndRequested, OpenChannel
from hpo.service.backoff import Backoff
from hpo.service.candidates import Candidate, Sessions
from hpo.service.leased import LeaveReason, has_work
from hpo.service.modules import Modules
from hpo.storage.store import Store

log = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 2.0
"""The pauses of a worker without work double from the first to the longest ..."""
PAUSE_SECONDS_PER_WORKER = 0.25
"""... or to this times the number of workers, if that is more: then all of them together look four times a second."""
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
        open_channel: OpenChannel = InProcessShard,
    ) -> None:
        """`lease_seconds`: time without a heartbeat after which other workers may take its trials. `names`: the studies
        to work on; empty: all. `modules`: the user modules that it runs. `open_channel`: opens the shard that trains a
        study."""
        self.store = store
        self.open_channel = open_channel
        self.names = frozenset(names)
        self.lease_seconds = lease_seconds
        self.name = name_of_this_process()
        self.ending = threading.Event()
        """When set, the worker finishes the current epoch, releases its trials and returns."""
        self.heartbeat = Heartbeat(store, self.name, lease_seconds)
        self.backoff = Backoff(self.heartbeat.clock)
        self._current_study_id: int | None = None
        """The study that the worker's row names: it works on this study, or waits for a place in it."""
        self._may_hold_leases = False
        """Whether the database may have leases of this worker."""
        self._recorded_refusals: dict[str, str] = {}
        """The refusals in the worker's row: study name -> why it cannot work on the study."""
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
                leases.unregister_worker(self.store, self.name)
            except StorageError as error:
                log.warning("%s What this worker held is free when its lease ends.", error.finding)

    def _work(self) -> bool:
        """Works on the first study for which something can be done; False if there is none."""
        self._release_leases()
        self._record_refusals()
        found = self._take_up_edits(queue.queue(self.store, self.name))
        self._forget_others({study.key for study in found})
        for study in found:
            if self._has_work_in(study) and self._work_on(study):
                return True
            if self.ending.is_set():
                return False
        self._wait_for_place(found)
        return False

    def _take_up_edits(self, found: Sequence[StudyStatus]) -> Sequence[StudyStatus]:
        """Has edits take effect that are due in studies that nobody trains. Returns the queue after that."""
        edited = [study for study in found if study.edited and study.free == study.running and self._is_for_it(study)]
        for study in edited:
            try:
                take_up(self.store, study.name)
            except InputError as error:
                if not self._is_deleted(study):
                    self._back_off(study, str(error))
        return queue.queue(self.store, self.name) if edited else found

    def _release_leases(self) -> None:
        """Releases leases that the worker still has after an error, although it no longer trains these trials."""
        if self._may_hold_leases:
            leases.release_all(self.store, self.name)
            self._may_hold_leases = False

    def _forget_others(self, keys: Collection[Key]) -> None:
        """Forgets what is in memory of all studies but these."""
        self._candidates = {key: candidate for key, candidate in self._candidates.items() if key in keys}
        self._sessions.keep(keys)
        self.backoff.keep(keys)
        self._record_refusals()

    def _wait_for_place(self, found: Sequence[StudyStatus]) -> None:
        """Names in the worker's row the first study that has budget left and fewer workers than places. Its workers
        count this one from then on, take a smaller share each, and so leave trials to it."""
        wanted = None
        for study in found:
            candidate = self._candidate(study)
            places = candidate.spec.concurrency if candidate else 0
            others = study.workers - (self._current_study_id == study.study_id)
            if candidate and study.spent is None and study.trials < candidate.budget and others < places:
                wanted = study.study_id
                break
        if wanted != self._current_study_id:
            self._set_current_study(wanted)

    def _set_current_study(self, study_id: int | None) -> None:
        leases.set_current_study(self.store, self.name, study_id)
        self._current_study_id = study_id

    def _has_work_in(self, study: StudyStatus) -> bool:
        candidate = self._candidate(study)
        return candidate is not None and has_work(study, candidate.budget, candidate.spec.concurrency)

    def _candidate(self, study: StudyStatus) -> Candidate | None:
        """The study, parsed; None where this worker is not to work on it, backs off from it, or cannot read it."""
        if not self._is_for_it(study):
            return None
        if study.key not in self._candidates:
            try:
                self._candidates[study.key] = Candidate.of(studies.study_row(self.store, study.name))
            except InputError as error:
                self._back_off(study, str(error))
        return self._candidates.get(study.key)

    def _is_for_it(self, study: StudyStatus) -> bool:
        """Whether this worker is to work on the study, and does not back off from it."""
        return (not self.names or study.name in self.names) and not self.backoff.is_paused(study.key)

    def _work_on(self, study: StudyStatus) -> bool:
        """Works on a study until there is a reason to leave it. Returns whether it was trained or concluded."""
        lines = Lines(study.name)
        concluded = False

        def observe(progress: Progress) -> None:
            lines(progress)
            if progress.epochs:
                self.backoff.worked(study.key)
                self._record_refusals()

        try:
            concluded = self._train_unless_deleted(study, observe)
        except EndRequested:
            log.info("%s: left, this worker is to end; another one concludes it", study.name)
        except LostTrials as error:
            log.warning("%s: %s This one drops its lanes and goes on from what is saved.", study.name, error)
        except Exception as error:
            self._handle_error(study, error)
        finally:
            self.store.forget(study.study_id)
        self._release_leases()
        self._set_current_study(None)
        return concluded or lines.epochs > 0

    def _handle_error(self, study: StudyStatus, error: Exception) -> None:
        """Decides whether an error is the study's: then the worker backs off from the study. No error ends the
        worker."""
        lost = lost_connection(error)
        from_database = lost or (error if isinstance(error, (StorageError, UpdateFinishedTrialError)) else None)
        if from_database is None or isinstance(error, RefusedStatementError):
            self._back_off_after_error(study, error)
        elif lost or not self.backoff.failed(study.key):
            log.warning(
                "%s: %s Going on from what is saved.", study.name, getattr(from_database, "finding", from_database)
            )
        else:
            self._back_off_after_error(study, error)

    def _train_unless_deleted(self, study: StudyStatus, observe: Observer) -> bool:
        """Calls `_train`; ignores its errors where the study has been deleted."""
        try:
            return self._train(study, observe)
        except Exception:
            if not self._is_deleted(study):
                raise
            log.info("%s: deleted", study.name)
            return False

    def _is_deleted(self, study: StudyStatus) -> bool:
        found = queue.status(self.store, study.study_id)
        return found is None or found.created_at != study.created_at

    def _train(self, study: StudyStatus, observe: Observer) -> bool:
        """Trains until there is a reason to leave the study. Returns whether this worker concluded it."""
        try:
            session = self._sessions.session(self._candidates[study.key])
        except (InputError, OSError) as error:
            if self._is_deleted(study):
                raise
            self._back_off(study, str(error))
            return False
        self._set_current_study(study.study_id)
        self._may_hold_leases = True
        attempt = Attempt(
            session,
            study,
            self.name,
            self.lease_seconds,
            ending=self.ending,
            leave=LeaveReason(
                self.store, study, ending=self.ending, clock=self.heartbeat.clock, has_work_in=self._has_work_in
            ),
            open_channel=self.open_channel,
        )
        attempt.train(observe)
        self._may_hold_leases = False
        return attempt.conclude()

    def _back_off(self, study: StudyStatus, text: str, *, hopeless: bool = False) -> None:
        """Leaves a study alone for a while, or, if it is `hopeless`, until it is changed, and records the reason."""
        if self.backoff.texts.get(study.name) != text:
            log.warning("%s: left to other workers for a while: %s", study.name, text)
        self.backoff.add(study.key, study.name, text, hopeless=hopeless)
        self._record_refusals()

    def _back_off_after_error(self, study: StudyStatus, error: Exception) -> None:
        """Logs an error of a study with its traceback, and backs off from the study."""
        log.error("%s: this worker cannot work on it", study.name, exc_info=error)
        text = f"{type(error).__name__}: {getattr(error, 'finding', error)}"
        self._back_off(study, text, hopeless=isinstance(error, HopelessError))

    def _record_refusals(self) -> None:
        """Writes the reasons of the back-off into the worker's row where they have changed, or could not be written
        before."""
        texts = self.backoff.texts
        if texts != self._recorded_refusals:
            leases.record_refusals(self.store, self.name, texts)
            self._recorded_refusals = texts
