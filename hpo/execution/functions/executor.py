"""The executor of training functions: used by the coordinator as `hpo.execution.executor.Executor` is, but each trial
trains in a process of its own.

A function waits in `report` until the transaction with its epoch is committed. So the database is never behind what a
function knows, and a trial whose process died is continued from what it saved last; the reports that it then makes
again are passed over. At its own pace, a tick is what has come since the last one; in lock step it waits until every
trial in flight has reported, returned or failed.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import TracebackType
from typing import Any

from hpo.errors import MachineError
from hpo.execution.functions.capacity import Capacity
from hpo.execution.functions.job import FunctionJob
from hpo.execution.functions.launcher import Launcher, how_died, memory_of
from hpo.execution.functions.messages import Begin, Exited, Launched, Raised, Reported, Returned, Saved
from hpo.execution.functions.results import Results
from hpo.execution.functions.states import SavedState, packed
from hpo.execution.messages import End, Past, Settled
from hpo.execution.supervised import DEATHS, Died
from hpo.seeds import function_seed
from hpo.studyfile.records import TrialConfig
from hpo.training.packing import SavedLane
from hpo.training.trainer import Failure, Tick

PATIENCE = 1.0
"""Longest time of a tick without results, in seconds, so that budgets and leases are looked at."""
GRACE = 30.0
"""Seconds that a function has to return once its trial has ended."""
WATCHED = 0.25
"""Seconds between two looks at the processes' memory and time."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Process:
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
    over: bool = False
    """Whether its function has returned or raised, or it was killed on purpose."""
    deadline: float | None = None
    """When it is killed, because its trial has ended."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Flight:
    """A trial in flight."""

    config: TrialConfig
    reported: int = 0
    """Epochs that it has reported."""
    saved: SavedState | None = None
    unkept: bool = False
    """Whether what it saved last is in no checkpoint yet."""
    process: _Process | None = None
    deaths: int = 0
    """Deaths of its process in a row without an epoch in between."""
    death: str = ""
    """How its process died last."""


class FunctionExecutor:
    """Trains the trials that were admitted or resumed and have not ended."""

    def __init__(self, job: FunctionJob, capacity: Capacity) -> None:
        self.job = job
        self.capacity = capacity
        self.train_seconds = 0.0
        """Seconds in which trials trained."""
        self.deaths = 0
        """How often a process died and was replaced."""
        self._launcher = Launcher(job)
        self._flight: dict[int, _Flight] = {}
        self._processes: dict[int, _Process] = {}
        """All that run, by number; also those of trials that have ended."""
        self._answers: list[tuple[_Process, bool]] = []
        """Answers to reports, to be sent once their transaction is committed: whether to stop."""
        self._results = Results()
        self._past_cpu_seconds = 0.0
        self._looked = 0.0
        self._launcher.start()

    def __enter__(self) -> FunctionExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        self.close()

    @property
    def workers(self) -> int:
        """Processes that train at once, at most."""
        return self.capacity.places

    @property
    def behind(self) -> bool:
        """Always false: nobody waits for a trial that repeats epochs."""
        return False

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the trials' processes, in seconds."""
        return self._past_cpu_seconds + sum(process.cpu_seconds for process in self._processes.values())

    def admit(self, trials: Mapping[int, TrialConfig]) -> list[Failure]:
        """Starts new trials."""
        self._flight |= {number: _Flight(config=config) for number, config in trials.items()}
        return []

    def resume(self, trials: Sequence[Past]) -> list[Failure]:
        """Continues trials from what they saved."""
        for past in trials:
            saved = past.saved[0][0] if past.saved else None
            assert not isinstance(saved, SavedLane)
            self._flight[past.number] = _Flight(config=past.config, reported=past.goal.epochs, saved=saved)
        return []

    def start(self) -> None:
        """Answers the reports whose transaction is committed, and starts processes while there is room."""
        for process, stop in self._answers:
            self._answer(process, stop=stop)
        self._answers = []
        self._dispatch()

    def tick(self) -> Tick:
        """Waits for results, at its own pace for a second at most."""
        began = time.monotonic()
        while True:
            lockstep = not self.job.at_own_pace
            enough = all(n in self._results for n in self._flight) if lockstep else len(self._results) > 0
            left = 0.0 if enough else PATIENCE - (time.monotonic() - began)
            some = self._receive(max(0.0, left) if self.job.at_own_pace else 0.0 if enough else PATIENCE)
            self._watch()
            self._dispatch()
            if enough and not some:
                break
            if left <= 0 and self.job.at_own_pace:
                break
        self.train_seconds += time.monotonic() - began
        tick, self._results = self._results.tick(), Results()
        for failure in tick.failures:
            self._drop(failure.trial)
        return tick

    def settle(
        self,
        *,
        best: Collection[int],
        wanted: Collection[int],
        ended: Collection[int],
        ends: Collection[int] = (),
        path: Callable[[], Path] | None = None,
    ) -> list[Settled]:
        """Acts on the decisions about the reports of the last tick, as `Executor.settle` does. What functions saved
        since is in `states`; the last state of `ends`, and of the `wanted`, in `ends`."""
        last: dict[int, End] = {}
        for number in ended:
            flight = self._flight[number]
            if number in ends and flight.saved is not None:
                last[number] = End(epoch=flight.saved.epoch, state=packed(number, flight.saved))
            process = self._drop(number)
            if process is not None and not process.over:
                self._answers.append((process, True))
        states: dict[int, End] = {}
        for number, flight in self._flight.items():
            if flight.process is not None and flight.process.blocked:
                self._answers.append((flight.process, False))
            if flight.unkept and flight.saved is not None:
                saved = flight.saved = SavedState(epoch=flight.reported, state=flight.saved.state)
                states[number] = End(epoch=saved.epoch, state=packed(number, saved))
                flight.unkept = False
        return [Settled(lanes=None, epochs={}, ends=last, states=states)]

    def clear(self) -> None:
        """Removes all trials."""
        for number in list(self._flight):
            self._drop(number)
        self._answers, self._results = [], Results()
        for process in self._processes.values():
            self._kill(process)

    def parameters(self, trial: int) -> int:
        """Not known of a function."""
        return 0

    def close(self) -> None:
        """Kills all processes."""
        self._launcher.close()
        for process in self._processes.values():
            process.connection.close()
        self._processes.clear()

    # --- processes ---------------------------------------------------------------------------------------

    def _dispatch(self) -> None:
        """Starts processes of the trials that wait for one, while there is room."""
        for number, flight in sorted(self._flight.items()):
            if flight.process is not None or number in self._results:
                continue
            if self._busy() >= self.capacity.places:
                return
            if flight.deaths >= DEATHS:
                self._results.fail(number, self._died_too_often(flight))
            else:
                self._launch(number, flight)

    def _busy(self) -> int:
        """Processes that train. In lock step, one that waits for the others makes room for the next one."""
        if self.job.at_own_pace:
            return len(self._processes)
        return sum(not process.blocked for process in self._processes.values())

    def _launch(self, number: int, flight: _Flight) -> None:
        call = flight.config.trial
        assert call is not None
        gpus = self.capacity.gpus()
        try:
            key, connection = self._launcher.launch(",".join(map(str, gpus)))
        except Died as death:
            self._lose_all(death)
            return
        now = time.monotonic()
        process = _Process(key=key, trial=number, connection=connection, begun=now, since=now)
        self._processes[key] = flight.process = process
        self.capacity.take(key, gpus)
        begin = Begin(
            number=number,
            params={name: list(v) if isinstance(v, tuple) else v for name, v in call.arguments.items()},
            seed=function_seed(self.job.seed, number),
            device="cuda" if gpus else "cpu",
            state=flight.saved.state if flight.saved else None,
            known=flight.reported,
        )
        self._send(process, begin)

    def _answer(self, process: _Process, *, stop: bool) -> None:
        process.blocked, process.since = False, time.monotonic()
        if stop:
            process.deadline = process.since + GRACE
        self._send(process, stop)

    @staticmethod
    def _send(process: _Process, content: Any) -> None:
        with suppress(OSError):  # it has died, which the server will say
            process.connection.send_bytes(pickle.dumps(content, pickle.HIGHEST_PROTOCOL))

    def _drop(self, number: int) -> _Process | None:
        """Forgets a trial; its process, if it runs."""
        return self._flight.pop(number).process

    def _kill(self, process: _Process) -> None:
        process.over = True
        self._launcher.kill(process.key)

    def _finish(self) -> None:
        """Waits until the functions of ended trials have returned, or their time for that is over."""
        self.start()
        until = time.monotonic() + GRACE
        while any(process.deadline for process in self._processes.values()) and time.monotonic() < until:
            self._receive(WATCHED)

    # --- messages ----------------------------------------------------------------------------------------

    def _receive(self, timeout: float) -> bool:
        """Waits for messages of processes and the server, and takes them. False where none came."""
        by_connection: dict[Any, _Process] = {
            process.connection: process for process in self._processes.values() if not process.connection.closed
        }
        control = self._launcher.control
        ready = wait([*by_connection, *([control] if control is not None else [])], timeout)
        for connection in ready:
            if connection in by_connection:
                self._take(by_connection[connection])
        if control in ready:
            try:
                for message in self._launcher.messages():
                    self._heed(message)
            except Died as death:
                self._lose_all(death)
        return bool(ready)

    def _take(self, process: _Process) -> None:
        """Takes one message of a process. Closes the connection at its end."""
        try:
            message = pickle.loads(process.connection.recv_bytes())
        except (EOFError, OSError):
            process.connection.close()
            return
        flight = self._flight.get(process.trial)
        mine = flight if flight is not None and flight.process is process else None
        match message:
            case Saved(state=state):
                if mine is not None:
                    mine.saved, mine.unkept = SavedState(epoch=mine.reported, state=state), True
            case Reported():
                process.cpu_seconds = message.cpu_seconds
                process.blocked = True
                if mine is None:  # the trial has ended meanwhile
                    self._answer(process, stop=True)
                else:
                    self._results.report(process.trial, message, time.monotonic() - process.since)
                    mine.reported, mine.deaths = message.epoch, 0
            case Returned():
                process.cpu_seconds, process.over = message.cpu_seconds, True
                if mine is not None and mine.reported:
                    self._results.returned.add(process.trial)
                elif mine is not None:
                    self._results.fail(process.trial, "the function returned without a report")
            case Raised():
                process.cpu_seconds, process.over = message.cpu_seconds, True
                if mine is not None:
                    self._results.fail(process.trial, message.error, message.traceback)

    def _heed(self, message: Launched | Exited) -> None:
        process = self._processes.get(message.key)
        if process is None:
            return
        if isinstance(message, Launched):
            process.pid = message.pid
            return
        while not process.connection.closed and process.connection.poll(0):
            self._take(process)
        self._remove(process, how_died(message.code))

    def _remove(self, process: _Process, how: str) -> None:
        """Forgets a process that has ended. Its trial, unless it has ended, gets another one."""
        process.connection.close()
        del self._processes[process.key]
        self.capacity.free(process.key)
        self._past_cpu_seconds += process.cpu_seconds
        self._answers = [(other, stop) for other, stop in self._answers if other is not process]
        flight = self._flight.get(process.trial)
        if flight is not None and flight.process is process:
            flight.process = None
            if not process.over:
                flight.deaths, flight.death = flight.deaths + 1, how
                self.deaths += 1

    def _lose_all(self, death: Died) -> None:
        """Forgets all processes, because the server has died and they with it."""
        if self.deaths > 1000 * DEATHS:
            raise MachineError(f"the server of the training function dies again and again ({death})")
        for process in list(self._processes.values()):
            process.over = True  # not the fault of its trial
            self._remove(process, str(death))
        self.deaths += 1

    # --- limits ------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Ends trials that exceed their limits, and kills processes whose trials have ended long ago."""
        now = time.monotonic()
        if now - self._looked < WATCHED:
            return
        self._looked = now
        for process in self._processes.values():
            if process.deadline is not None and now > process.deadline:
                self._kill(process)
            flight = self._flight.get(process.trial)
            if flight is None or flight.process is not process or process.blocked or process.over:
                continue
            if (reason := self._excess(process, now)) is not None:
                self._results.fail(process.trial, reason)
                self._kill(process)

    def _excess(self, process: _Process, now: float) -> str | None:
        """Which limit the process exceeds, in words."""
        if self.job.seconds is not None and now - process.begun > self.job.seconds:
            return f"its function took longer than trial.seconds = {self.job.seconds:g}"
        limit = self.job.resources.memory_gib
        if limit is not None and process.pid is not None and (used := memory_of(process.pid)) > limit * 2**30:
            return f"it took {used / 2**30:.2f} GiB of memory, more than trial.resources.memory_gib = {limit:g}"
        return None

    def _died_too_often(self, flight: _Flight) -> str:
        after = f"after epoch {flight.reported}" if flight.reported else "before its first report"
        return (
            f"its process died {flight.deaths} times in a row ({flight.death}), {after}. If memory ran out, "
            "trial.resources.memory_gib lets fewer trials train at once"
        )
