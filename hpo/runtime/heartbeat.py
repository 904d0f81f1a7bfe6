"""A process's signs of life, given in the background: an epoch may take longer than a lease."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable

from hpo.errors import StorageError
from hpo.registry import leases
from hpo.storage.store import Store

log = logging.getLogger(__name__)

LEASE_SECONDS = 30.0
"""How long a process may be silent before others take what it has."""
BEATS = 3
"""Signs of life in the time of a lease."""


def name_of_this_process() -> str:
    """What the database is to call it: the name tells people where it is, and no two are the same."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


class Heartbeat:
    """Enrols a worker and holds its leases up, until it is stopped or the process is."""

    def __init__(
        self,
        store: Store,
        name: str,
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        registers: bool = True,
    ) -> None:
        """`registers`: at the start, and again where the database has forgotten it; else that is not for it to do."""
        self.store = store
        self.name = name
        self.lease_seconds = lease_seconds
        self.clock = clock
        self.registers = registers
        self.workers = 1
        """Workers that were alive at the last sign of life."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signs of life", daemon=True)

    def start(self) -> None:
        if self.registers:
            self._register()
        self._thread.start()

    def stop(self) -> None:
        # Not joined: it may be waiting for a server that is away, and holds nothing that matters.
        self._ended.set()

    def _run(self) -> None:
        silent = False
        while not self._ended.wait(self.lease_seconds / BEATS):
            try:
                self.beat()
            except Exception as error:  # whatever it is, the leases end with this thread
                if not silent:
                    bug = not isinstance(error, StorageError)
                    said = getattr(error, "finding", error)
                    log.warning("no sign of life could be given: %s", said, exc_info=bug)
                silent = True
            else:
                silent = False

    def beat(self) -> None:
        """One sign of life."""
        alive = leases.send_heartbeat(self.store, self.name, self.lease_seconds)
        if alive is None and self.registers and not self._ended.is_set():
            self._register()
        self.workers = alive or self.workers

    def _register(self) -> None:
        leases.register_worker(self.store, self.name, socket.gethostname(), os.getpid(), self.lease_seconds)
