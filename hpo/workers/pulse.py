"""A worker's signs of life, given in the background: an epoch may take longer than a lease."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from collections.abc import Callable

from hpo.errors import StorageError
from hpo.storage import leases
from hpo.storage.store import Store

log = logging.getLogger(__name__)

BEATS = 3
"""Signs of life in the time of a lease."""


class Pulse:
    """Enrols a worker and holds its leases up, until it is stopped or the process is."""

    def __init__(
        self, store: Store, name: str, lease_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.store = store
        self.name = name
        self.lease_seconds = lease_seconds
        self.clock = clock
        self.workers = 1
        """Workers that were alive at the last sign of life."""
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="signs of life", daemon=True)

    def start(self) -> None:
        self._enrol()
        self._thread.start()

    def stop(self) -> None:
        # Not joined: it may be waiting for a server that is away, and holds nothing that matters.
        self._ended.set()

    def _run(self) -> None:
        silent = False
        while not self._ended.wait(self.lease_seconds / BEATS):
            try:
                self.beat()
            except StorageError as error:
                if not silent:
                    log.warning("no sign of life could be given: %s", error.finding)
                silent = True
            else:
                silent = False

    def beat(self) -> None:
        """One sign of life."""
        alive = leases.give_sign_of_life(self.store, self.name, self.lease_seconds)
        if alive is None and not self._ended.is_set():
            self._enrol()
        self.workers = alive or self.workers

    def _enrol(self) -> None:
        leases.enrol(self.store, self.name, socket.gethostname(), os.getpid(), self.lease_seconds)
