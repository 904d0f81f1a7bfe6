"""One attempt of a worker at a study: it trains trials until there is a reason to leave the study, and concludes the
study if all its trials have ended.

Which study a worker attempts, and what follows from an error of an attempt, is decided in `worker`.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event

import torch

from hpo.checkpoints.manager import CheckpointManager
from hpo.database.patience import retried
from hpo.execution.engines import AnyExecutor, function_executor
from hpo.execution.executor import Executor
from hpo.execution.functions.job import FunctionJob
from hpo.execution.job import TrainingJob
from hpo.execution.shard import InProcessShard
from hpo.execution.supervised import Channel
from hpo.registry import queue
from hpo.registry.queue import StudyStatus
from hpo.runtime import coordinator
from hpo.runtime.confirmation import confirm as confirm_winner
from hpo.runtime.progress import LINE_SECONDS, Observer
from hpo.runtime.session import Session
from hpo.runtime.setup.registration import circumstances
from hpo.runtime.winner import beside, find, note
from hpo.service.leased import ALL_ENDED, LeasedOwnership

log = logging.getLogger(__name__)

OpenChannel = Callable[[TrainingJob], Channel]
"""Opens the channel to the shard that trains a job."""


class Changed(Exception):
    """The study was stopped, extended or edited while its winner was confirmed or trained again."""


class EndRequested(Exception):
    """The worker is to end while it scores a winner or fits baselines, which another worker can do."""


class Attempt:
    """The attempt of the worker `name` at one generation of a study."""

    def __init__(
        self,
        session: Session,
        study: StudyStatus,
        name: str,
        lease_seconds: float,
        *,
        ending: Event,
        leave: Callable[[], str | None],
        open_channel: OpenChannel = InProcessShard,
    ) -> None:
        """`ending`: set when the worker is to end. `leave` returns the worker's own reason to leave the study, or
        None."""
        assert session.checkpoint_store is not None
        self.session = session
        self.study = study
        self.name = name
        self.ending = ending
        self.said = -math.inf
        """When a line about a confirmation or the winner's last training was logged."""
        self.open_channel = open_channel
        self.manager = CheckpointManager(session.checkpoints, session.checkpoint_store, name)
        self.ownership = LeasedOwnership(
            session, self.manager, name, lease_seconds, key=study.key, leave=leave, wait=self._wait
        )

    def train(self, observe: Observer) -> None:
        """Trains until there is a reason to leave the study; then the worker has no leases any more."""
        with self._executor() as executor:
            self.ownership.halt = executor.halt
            coordinator.run(self.session, executor, observe, self.ownership, self.manager)
        log.info("%s: left, %s", self.study.name, self.ownership.reason)

    def _executor(self) -> AnyExecutor:
        job = self.session.job
        if isinstance(job, FunctionJob):
            return function_executor(job)
        return Executor(lambda: self.open_channel(job), workers=1, replicas=job.replicas, shares_files=False)

    def conclude(self) -> bool:
        """Concludes the study if all its trials have ended, and deletes the worker's files of running trials. Returns
        whether this worker concluded it."""
        concluded = self.ownership.reason == ALL_ENDED and self._score()
        self.manager.leave()
        return concluded

    def _score(self) -> bool:
        """Scores the winner and marks the study as finished, unless another worker does. Returns whether it did so."""
        study, store = self.study, self.session.store
        if not queue.begin_conclusion(store, study.study_id, self.name, study.generation):
            return False
        try:
            confirmation = confirm_winner(self.session, self._executor, keep=self._keep, watch=self._watch)
            simple = beside(self.session, self._raise_if_ending)
            winner = find(self.session, self._watch_refit, confirmation=confirmation)
        except Changed:
            log.info("%s: left, it was stopped, extended or edited", study.name)
            return False
        leftovers = self.manager.leftovers()
        with store.transaction() as transaction:
            # Locked before its other rows, in the same order as an extension locks them.
            transaction.lock_study(study.study_id)
            if not queue.finish(store, study.study_id, self.name, study.generation):
                log.info("%s: goes on, or another worker concludes it", study.name)
                return False
            device = torch.device(self.session.job.device)
            facts = circumstances(self.session.spec, self.session.inputs, device)
            note(self.session, winner, replace(facts, baselines=simple), self.manager)
            self.manager.clear(leftovers)
        self.manager.sweep()
        best = f"the winner is trial {winner.number}" if winner else "no trial finished"
        log.info("%s: ended; %s", study.name, best)
        return True

    def _keep(self) -> None:
        """In a transaction: raises if people have changed the study."""
        now = queue.status_now(self.session.store, self.study.study_id)
        if now.key != self.study.key or not now.active or now.edited:
            raise Changed

    def _watch(self, text: str) -> None:
        self._raise_if_ending()
        self._say(f"confirming the winner: {text}")

    def _watch_refit(self, text: str) -> None:
        """Before each epoch of a winner that is trained again, of which nothing is saved until its end."""
        self._raise_if_ending()
        retried(self._keep_in_transaction)
        self._say(text)

    def _keep_in_transaction(self) -> None:
        with self.session.store.transaction():
            self._keep()

    def _say(self, text: str) -> None:
        if time.monotonic() - self.said >= LINE_SECONDS:
            self.said = time.monotonic()
            log.info("%s: %s", self.study.name, text)

    def _raise_if_ending(self) -> None:
        if self.ending.is_set():
            raise EndRequested

    def _wait(self, seconds: float) -> None:
        self.ending.wait(seconds)
