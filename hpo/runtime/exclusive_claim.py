"""`hpo run`'s claim on its study, kept up while it runs: other runs and `hpo submit` see it in the database."""

from __future__ import annotations

import logging
import os
import socket
from types import TracebackType

from hpo.errors import StorageError
from hpo.registry import exclusive, leases
from hpo.runtime.heartbeat import LEASE_SECONDS, Heartbeat
from hpo.storage.store import Store

log = logging.getLogger(__name__)


class Claim:
    """The study in the hands of process `name`, from `take` to the end of the block."""

    def __init__(self, store: Store, name: str, *, dead: str | None = None) -> None:
        """`dead`: a process that is known to be no more."""
        self.store = store
        self.name = name
        self.dead = dead
        self._heartbeat = Heartbeat(store, name, LEASE_SECONDS, registers=False)

    def take(self, study_id: int) -> None:
        """Alone or in a transaction: takes the study from the workers; `StudyStateError` while anyone else works on
        it."""
        host, pid = socket.gethostname(), os.getpid()
        exclusive.claim(self.store, study_id, self.name, host, pid, LEASE_SECONDS, dead=self.dead)

    def keep(self) -> None:
        """In a tick: it raises `TakenError` and writes nothing if the study was taken from this process."""
        exclusive.keep(self.store, self.name, LEASE_SECONDS)

    def __enter__(self) -> Claim:
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.stop()
        if isinstance(error, StorageError):  # it has been waited for long enough
            return
        try:
            leases.unregister_worker(self.store, self.name)
        except StorageError as refused:
            log.warning("%s Others may have the study when this process has been silent for a while.", refused.finding)
