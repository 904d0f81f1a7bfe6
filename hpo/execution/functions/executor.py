"""The executor of training functions: used by the coordinator as `hpo.execution.executor.Executor` is, but each trial
trains in a process of its own.

A function waits in `report` until the transaction with its epoch is committed; its last report is committed when it has
returned, together with what it saved after it. So the database is never behind what a function knows, and a trial whose
process died is continued from what it saved last; the reports that it then makes again are passed over. At its own
pace, a tick is what has come since the last one; in lock step it waits until every trial in flight has reported,
returned or failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from hpo.execution.functions.capacity import Capacity
from hpo.execution.functions.job import FunctionJob
from hpo.execution.functions.messages import Begin, FromProcess, Raised, Reported, Returned, Saved
from hpo.execution.functions.processes import Gone, Process, Processes
from hpo.execution.functions.results import Results
from hpo.execution.functions.states import SavedState, packed
from hpo.execution.messages import End, Past, Settled
from hpo.execution.supervised import DEATHS
from hpo.seeds import function_seed
from hpo.studyfile.records import TrialConfig
from hpo.training.diagnosis.measure import Found
from hpo.training.packing import SavedLane
from hpo.training.trainer import Failure, Tick

PATIENCE = 1.0
"""Longest time of a tick without results, in seconds, so that budgets and leases are looked at."""
WATCHED = 0.25
"""Seconds between two looks at the processes' memory and time."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Flight:
    """A trial in flight."""

    config: TrialConfig
    reported: int = 0
    """Epochs that it has reported."""
    saved: SavedState | None = None
    unkept: bool = False
    """Whether what it saved last is in no checkpoint yet."""
    process: Process | None = None
    last: tuple[Reported, float] | None = None
    """Its last report, which is told when its function has returned, with what it saved meanwhile; and its seconds."""
    waits: bool = False
    """Whether its process may go on, but has to wait for room: in lock step alone."""
    deaths: int = 0
    """Deaths of its process in a row without an epoch in between."""
    death: str = ""
    """How its process died last."""


class FunctionExecutor:
    """Trains the trials that were admitted or resumed and have not ended."""

    def __init__(self, job: FunctionJob, capacity: Capacity) -> None:
        self.job = job
        self.train_seconds = 0.0
        """Seconds in which trials trained."""
        self.deaths = 0
        """How often a process died and was replaced."""
        self._processes = Processes(job, capacity)
        self._flight: dict[int, _Flight] = {}
        self._answers: list[tuple[Process, bool]] = []
        """Answers to reports, to be sent once their transaction is committed: whether to stop."""
        self._results = Results()
        self._looked = 0.0

    def __enter__(self) -> FunctionExecutor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._send_answers()
            self._processes.finish()
        self.close()

    @property
    def workers(self) -> int:
        """Processes that train at once, at most."""
        return self._processes.capacity.places

    @property
    def behind(self) -> bool:
        """Always false: nobody waits for a trial that repeats epochs."""
        return False

    @property
    def cpu_seconds(self) -> float:
        """Processor time of the trials' processes, in seconds."""
        return self._processes.cpu_seconds

    def admit(self, trials: Mapping[int, TrialConfig]) -> list[Failure]:
        """Takes new trials."""
        self._flight |= {number: _Flight(config=config) for number, config in trials.items()}
        return []

    def resume(self, trials: Sequence[Past]) -> list[Failure]:
        """Takes trials that continue from what they saved."""
        for past in trials:
            saved = past.saved[0][0] if past.saved else None
            assert not isinstance(saved, SavedLane)
            self._flight[past.number] = _Flight(config=past.config, reported=past.goal.epochs, saved=saved)
        return []

    def start(self) -> None:
        """Answers the reports whose transaction is committed, and starts processes while there is room."""
        self._send_answers()
        self._dispatch()

    def tick(self) -> Tick:
        """Waits for results: at their own pace for a second at most, in lock step for those of all trials."""
        began, own = time.monotonic(), self.job.at_own_pace
        while True:
            enough = len(self._results) > 0 if own else all(number in self._results for number in self._flight)
            left = 0.0 if enough else PATIENCE - (time.monotonic() - began)
            heard = self._receive(max(left, 0.0))
            self._watch()
            self._dispatch()
            if left <= 0 and (own or not heard or not enough):
                break
        self.train_seconds += time.monotonic() - began
        if not own and not enough:  # budgets and leases are looked at while some still train
            return Tick(epochs=(), failures=())
        tick, self._results = self._results.tick(), Results()
        for failure in tick.failures:
            del self._flight[failure.trial]
        return tick

    def diagnose(self, ending: Collection[int], finished: Collection[int]) -> dict[int, Found]:
        """Nothing is known of what a function trains."""
        return {}

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
        since is in `states`, the last states of `ends` in `ends`; there are no best weights."""
        last: dict[int, End] = {}
        for number in ended:
            flight = self._flight.pop(number)
            if number in ends and flight.saved is not None:
                last[number] = End(epoch=flight.saved.epoch, state=packed(number, flight.saved))
            if flight.process is not None and not flight.process.over:
                self._answers.append((flight.process, True))
        states: dict[int, End] = {}
        for number, flight in self._flight.items():
            if flight.process is not None and flight.process.blocked:
                if self.job.at_own_pace:
                    self._answers.append((flight.process, False))
                flight.waits = not self.job.at_own_pace
            if flight.unkept and flight.saved is not None and flight.last is None:
                # Its epochs are counted now: a state that was saved just before a report is kept with the report.
                saved = flight.saved = SavedState(epoch=flight.reported, state=flight.saved.state)
                states[number] = End(epoch=saved.epoch, state=packed(number, saved))
                flight.unkept = False
        return [Settled(lanes=None, epochs={}, ends=last, states=states)]

    def halt(self) -> None:
        """Ends the processes of all trials, which others may then continue. Returns when they have ended."""
        self._processes.halt(self._flight)

    def clear(self) -> None:
        """Removes all trials."""
        self._flight.clear()
        self._answers, self._results = [], Results()
        for process in self._processes.running.values():
            self._processes.kill(process)

    def costs(self, trial: int, config: TrialConfig) -> dict[str, int]:
        """What the function measured, and the most memory that its process was seen to take."""
        return self._processes.costs.pop(trial, {})

    def close(self) -> None:
        """Kills all processes."""
        self._processes.close()

    def _send_answers(self) -> None:
        for process, stop in self._answers:
            if process.key in self._processes.running:
                self._processes.answer(process, stop=stop)
        self._answers = []

    def _dispatch(self) -> None:
        """Has the trials that wait for room go on, or starts their processes, by number, while there is room."""
        for number, flight in sorted(self._flight.items()):
            if number in self._results or (flight.process is not None and not flight.waits):
                continue
            if not self._processes.has_room:
                return
            if flight.process is not None:
                flight.waits = False
                self._processes.answer(flight.process, stop=False)
            elif flight.deaths >= DEATHS:
                self._results.fail(number, _died_too_often(flight))
            elif not self._processes.outlived(number):
                flight.process = self._processes.launch(self._begin(number, flight))

    def _begin(self, number: int, flight: _Flight) -> Begin:
        call = flight.config.trial
        assert call is not None
        return Begin(
            number=number,
            params={name: list(v) if isinstance(v, tuple) else v for name, v in call.arguments.items()},
            seed=function_seed(self.job.seed, number),
            device="cuda" if self.job.resources.gpus else "cpu",
            state=flight.saved.state if flight.saved else None,
            known=flight.reported,
            epochs=flight.config.training.epochs,
        )

    def _receive(self, timeout: float) -> bool:
        """Takes the messages of processes; false where none came."""
        messages = self._processes.receive(timeout)
        for process, message in messages:
            flight = self._flight.get(process.trial)
            if flight is not None and flight.process is process and process.trial not in self._results:
                self._take(process, flight, message)
            elif flight is not None and flight.process is process and isinstance(message, Gone):
                self._bury(process, flight, message)
            elif isinstance(message, Reported):  # its trial has ended meanwhile
                self._processes.answer(process, stop=True)
        return bool(messages)

    def _take(self, process: Process, flight: _Flight, message: FromProcess | Gone) -> None:
        if flight.last is not None and not isinstance(message, Saved):
            self._results.report(process.trial, *flight.last)
            return
        match message:
            case Saved(state=state):
                flight.saved, flight.unkept = SavedState(epoch=flight.reported, state=state), True
            case Reported():
                seconds = time.monotonic() - process.since
                flight.reported, flight.deaths = message.epoch, 0
                if message.epoch < flight.config.training.epochs:
                    self._results.report(process.trial, message, seconds)
                else:
                    flight.last = message, seconds
                    self._processes.answer(process, stop=True)
            case Returned() if flight.reported:
                self._results.returned.add(process.trial)
            case Returned():
                self._results.fail(process.trial, "the function returned without a report")
            case Raised(error=error, traceback=traceback):
                self._results.fail(process.trial, error, traceback)
            case Gone():
                self._bury(process, flight, message)

    def _bury(self, process: Process, flight: _Flight, gone: Gone) -> None:
        """The process of a trial has ended: it gets another one."""
        flight.process, flight.waits = None, False
        if not process.over:
            flight.deaths, flight.death = flight.deaths + 1, gone.how
            self.deaths += 1

    def _watch(self) -> None:
        """Ends trials that exceed their limits, and processes that have outlived their trials."""
        now = time.monotonic()
        if now - self._looked < WATCHED:
            return
        self._looked = now
        self._processes.kill_late(now)
        for number, flight in self._flight.items():
            process = flight.process
            if process is None or process.blocked or process.over or number in self._results:
                continue
            if (reason := self._processes.excess(process, now)) is not None:
                if flight.last is None:
                    self._results.fail(number, reason)
                self._processes.kill(process)


def _died_too_often(flight: _Flight) -> str:
    after = f"after epoch {flight.reported}" if flight.reported else "before its first report"
    return (
        f"its process died {flight.deaths} times in a row ({flight.death}), {after}. If memory ran out, "
        "trial.resources.memory_gib lets fewer trials train at once"
    )
