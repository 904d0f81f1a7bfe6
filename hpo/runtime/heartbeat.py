"""Heartbeats of a process, sent by a thread, since an epoch may take longer than a lease."""

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
"""Time after the last heartbeat at which other processes may take a process's trials or study."""
BEATS = 3
"""Heartbeats in the time of a lease."""


def name_of_this_process() -> str:
    """A unique name for the database, with the machine and the process id for people."""
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"


class Heartbeat:
    """Registers a worker and renews its leases, until it is stopped or the process ends."""

    def __init__(
        self,
        store: Store,
        name: str,
        lease_seconds: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        registers: bool = True,
    ) -> None:
        """`registers`: whether it adds the worker's row, at the start and when the row has been deleted."""
        self.store = store
        self.name = name
        self.lease_seconds = lease_seconds
        self.clock = clock
        self.registers = registers
        self.workers = 1
        """Number of workers alive at the last heartbeat."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        if self.registers:
            self._register()
        self._thread.start()

    def stop(self) -> None:
        # Not joined: the thread may be waiting for a server that does not answer, and has nothing to finish.
        self._ended.set()

    def _run(self) -> None:
        silent = False
        while not self._ended.wait(self.lease_seconds / BEATS):
            try:
                self.beat()
            except Exception as error:  # any error is caught: without this thread the leases would expire
                if not silent:
                    bug = not isinstance(error, StorageError)
                    said = getattr(error, "finding", error)
                    log.warning("no sign of life could be given: %s", said, exc_info=bug)
                silent = True
            else:
                silent = False

    def beat(self) -> None:
        """Sends one heartbeat."""
        alive = leases.send_heartbeat(self.store, self.name, self.lease_seconds)
        if alive is None and self.registers and not self._ended.is_set():
            self._register()
        self.workers = alive or self.workers

    def _register(self) -> None:
        leases.register_worker(self.store, self.name, socket.gethostname(), os.getpid(), self.lease_seconds)
