"""The processes of the trials in flight: started, told to go on or to stop, watched and killed. What follows for a
trial is decided by the executor."""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from hpo.errors import MachineError
from hpo.execution.functions.capacity import Capacity
from hpo.execution.functions.job import FunctionJob
from hpo.execution.functions.launcher import Launcher, how_died
from hpo.execution.functions.memory import memory_of
from hpo.execution.functions.messages import Begin, FromProcess, Launched, Raised, Reported, Returned
from hpo.execution.supervised import DEATHS, Died

LOOK = 1.0
"""Least seconds between two looks at the memory of a process, where it has no limit."""
PEAK = "peak_memory_bytes"
"""Fact of a trial: the largest main memory that its process was seen to take."""
GRACE = 30.0
"""Seconds that a function has to return once its trial has ended."""


@dataclass(kw_only=True, slots=True, eq=False)
class Process:
    """The process of a trial."""

    key: int
    trial: int
    connection: Connection
    begun: float
    """When it was started, by `time.monotonic`."""
    since: float
    """When it was started or last told to go on."""
    pid: int | None = None
    cpu_seconds: float = 0.0
    blocked: bool = False
    """Whether it waits for the answer to a report."""
    asked: float = 0.0
    """When it made that report."""
    looked: float = -math.inf
    """When its memory was looked at after a report."""
    waited: float = 0.0
    """Seconds for which it has waited for answers."""
    over: bool = False
    """Whether its function has returned or raised, or it was killed on purpose."""
    deadline: float | None = None
    """When it is killed, because its trial has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gone:
    """A process has ended, which is the last that is said of it."""

    how: str
    """Its exit code in words."""


class Processes:
    """All processes of one executor."""

    def __init__(self, job: FunctionJob, capacity: Capacity) -> None:
        self.job = job
        self.capacity = capacity
        self.running: dict[int, Process] = {}
        """By number; also those whose trials have ended."""
        self.costs: dict[int, dict[str, int]] = {}
        """What trials in flight have cost, by number: see `Reported.costs`, and `peak_memory_bytes` of main memory."""
        self._launcher = Launcher(job)
        self._launcher.start()
        self._past_cpu_seconds = 0.0
        self._server_deaths = 0
        """In a row, without a message of a process in between."""

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all, in seconds."""
        return self._past_cpu_seconds + sum(process.cpu_seconds for process in self.running.values())

    @property
    def has_room(self) -> bool:
        """Whether another one may be started or go on. In lock step, one that waits for the others makes room."""
        busy = len(self.running)
        if not self.job.at_own_pace:
            busy = sum(not process.blocked for process in self.running.values())
        return busy < self.capacity.places

    def launch(self, begin: Begin) -> Process | None:
        """Starts the process of a trial, on GPUs if it needs any; None where that failed: try again later."""
        if self._launcher.control is None and self.running:
            return None
        gpus = self.capacity.gpus()
        try:
            key, connection = self._launcher.launch(",".join(map(str, gpus)))
        except Died as death:
            if not self.running:
                self._count_death(str(death))
            return None  # `receive` tells what has become of the others
        now = time.monotonic()
        process = Process(key=key, trial=begin.number, connection=connection, begun=now, since=now)
        self.running[key] = process
        self.capacity.take(key, gpus)
        _send(process, begin)
        return process

    def outlived(self, trial: int) -> bool:
        """Whether a process still runs that has the trial from before; it is killed."""
        left = [process for process in self.running.values() if process.trial == trial]
        for process in left:
            self.kill(process)
        return bool(left)

    def answer(self, process: Process, *, stop: bool) -> None:
        """Tells a process to go on, or that its trial has ended."""
        now = time.monotonic()
        if process.blocked:
            process.waited += now - process.asked
        process.blocked, process.since = False, now
        if stop:
            process.deadline = process.since + GRACE
        _send(process, stop)

    def kill(self, process: Process) -> None:
        """Kills a process and all that it has started."""
        process.over = True
        self._launcher.kill(process.key)

    def receive(self, timeout: float) -> list[tuple[Process, FromProcess | Gone]]:
        """Waits for messages of the processes. Those of one that was killed are left out."""
        found: list[tuple[Process, FromProcess | Gone]] = []
        control = self._launcher.control
        if control is None and self.running:
            return self._lost("it died")
        by_connection: dict[Any, Process] = {
            process.connection: process for process in self.running.values() if not process.connection.closed
        }
        ready = wait([*by_connection, *([control] if control is not None else [])], timeout)
        for connection in ready:
            if connection in by_connection:
                found += self._messages(by_connection[connection])
        if control in ready:
            try:
                for message in self._launcher.messages():
                    if (process := self.running.get(message.key)) is None:
                        continue
                    if isinstance(message, Launched):
                        process.pid = message.pid
                        continue
                    while not process.connection.closed and process.connection.poll(0):
                        found += self._messages(process)
                    found.append((process, Gone(how=how_died(message.code))))
                    self._remove(process)
            except Died as death:
                found += self._lost(str(death))
        return found

    def halt(self, trials: Collection[int]) -> None:
        """Kills the processes of these trials, and waits until they have ended."""
        for process in self.running.values():
            if process.trial in trials:
                self.kill(process)
        until = time.monotonic() + GRACE
        while any(process.trial in trials for process in self.running.values()) and time.monotonic() < until:
            self.receive(0.25)

    def kill_late(self, now: float) -> None:
        """Kills those that have not ended in time after their trials."""
        for process in self.running.values():
            if process.deadline is not None and now > process.deadline:
                self.kill(process)

    def excess(self, process: Process, now: float) -> str | None:
        """Which limit a process exceeds, in words."""
        if self.job.seconds is not None and now - process.begun - process.waited > self.job.seconds:
            return f"its function took longer than trial.seconds = {self.job.seconds:g}"
        limit = self.job.resources.memory_gib
        used = 0 if limit is None or process.pid is None else memory_of(process.pid, self._launcher.server)
        if limit is not None and used > limit * 2**30:
            return f"it took {used / 2**30:.2f} GiB of memory, more than trial.resources.memory_gib = {limit:g}"
        return None

    def finish(self) -> None:
        """Waits until the functions of ended trials have returned, or their time for that is over."""
        until = time.monotonic() + GRACE
        while any(process.deadline for process in self.running.values()) and time.monotonic() < until:
            self.receive(0.25)

    def close(self) -> None:
        """Kills all processes."""
        self._launcher.close()
        for process in self.running.values():
            process.connection.close()
        self.running.clear()

    def _messages(self, process: Process) -> list[tuple[Process, FromProcess | Gone]]:
        """The next message of a process, if it is still heard. Closes the connection at its end."""
        try:
            message: FromProcess = pickle.loads(process.connection.recv_bytes())
        except (EOFError, OSError):
            process.connection.close()
            return []
        self._server_deaths = 0
        if process.over:
            return []
        if isinstance(message, Reported | Returned | Raised):
            process.cpu_seconds = message.cpu_seconds
            process.blocked, process.asked = isinstance(message, Reported), time.monotonic()
            process.over = not process.blocked
        if isinstance(message, Reported):
            self._note_costs(process, message)
        return [(process, message)]

    def _note_costs(self, process: Process, message: Reported) -> None:
        """Notes what a report says, and looks at the memory of its process, which waits, once a second at most."""
        costs = self.costs.setdefault(process.trial, {})
        costs.update(message.costs)
        if process.pid is not None and process.asked - process.looked >= LOOK:
            process.looked = process.asked
            used = memory_of(process.pid, self._launcher.server)
            costs[PEAK] = max(used, costs.get(PEAK, 0))

    def _remove(self, process: Process) -> None:
        process.connection.close()
        del self.running[process.key]
        self.capacity.free(process.key)
        self._past_cpu_seconds += process.cpu_seconds

    def _lost(self, how: str) -> list[tuple[Process, FromProcess | Gone]]:
        """All processes, which have ended with their server: the fault of none of their trials."""
        self._count_death(how)
        gone = list(self.running.values())
        for process in gone:
            process.over = True
            self._remove(process)
        return [(process, Gone(how=how)) for process in gone]

    def _count_death(self, how: str) -> None:
        self._server_deaths += 1
        if self._server_deaths >= DEATHS:
            raise MachineError(
                f"the process that starts those of the trials died {DEATHS} times in a row ({how}). Every trial is "
                "kept as it was saved last; run the same command again."
            )


def _send(process: Process, content: Any) -> None:
    with suppress(OSError):  # it has died, which the server will say
        process.connection.send_bytes(pickle.dumps(content, pickle.HIGHEST_PROTOCOL))
