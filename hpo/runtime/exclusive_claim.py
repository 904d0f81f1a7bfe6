"""The claim of `hpo run` on its study, renewed by heartbeats while it runs. Other runs and `hpo submit` see it in the
database; the statements are in `registry.exclusive`."""

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
    """Exclusive claim of process `name` on a study, from `take` to the end of the block."""

    def __init__(self, store: Store, name: str, *, dead: str | None = None) -> None:
        """`dead`: name of a process that is known to have ended, whose claim is ignored."""
        self.store = store
        self.name = name
        self.dead = dead
        self._heartbeat = Heartbeat(store, name, LEASE_SECONDS, registers=False)

    def take(self, study_id: int) -> None:
        """Alone or in a transaction: claims the study, from its workers if it was submitted; `StudyStateError` while
        another process works on it."""
        host, pid = socket.gethostname(), os.getpid()
        exclusive.claim(self.store, study_id, self.name, host, pid, LEASE_SECONDS, dead=self.dead)

    def keep(self) -> None:
        """In a transaction: its commit raises `TakenError` and writes nothing if the claim was lost."""
        exclusive.keep(self.store, self.name, LEASE_SECONDS)

    def __enter__(self) -> Claim:
        self._heartbeat.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._heartbeat.stop()
        if isinstance(error, StorageError):  # the database has been waited for long enough
            return
        try:
            leases.unregister_worker(self.store, self.name)
        except StorageError as refused:
            log.warning("%s Others may have the study when this process has been silent for a while.", refused.finding)
