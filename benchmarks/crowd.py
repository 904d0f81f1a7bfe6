"""Real worker processes on one database, what befalls them, and what must hold of a study they have ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

from sqlalchemy import select

from hpo.database.tables import hpo_epochs, hpo_leases, hpo_workers, trials
from hpo.registry import studies
from hpo.storage.open import open_store
from hpo.studyfile.file import parse_study

MAIN = "from hpo.cli import main; main()"
TRACE = "CROWD_TRACE"
TRACING = """
import os
from hpo.training.trainer import Trainer

file = os.open(os.environ["CROWD_TRACE"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
train = Trainer.tick

def tick(trainer):
    trained = train(trainer)
    lines = [f"{lane.trial} {lane.epoch}\\n" for lane in trained.epochs if lane.replica == 0]
    os.write(file, "".join(lines).encode())
    return trained

Trainer.tick = tick
"""
"""Has a worker note every epoch of a trial that it has trained, whatever becomes of it."""
LIMIT_SECONDS = 900.0
"""After which a study counts as stuck."""


class Process(Protocol):
    """A running command: the part of `subprocess.Popen` that is used here."""

    pid: int
    returncode: Any

    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...
    def send_signal(self, sig: int, /) -> None: ...


class Crowd:
    """Workers that are started, killed and replaced."""

    def __init__(self, url: str, home: Path, *, lease: float) -> None:
        self.url = url
        self.home = home
        self.lease = lease
        self.log = home / "workers.log"
        self.trace = home / "trained.txt"
        """Trial and epoch of everything that was trained, line by line."""
        self.workers: list[Process] = []
        home.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.workers:
            worker.kill()
            worker.wait()

    def hpo(self, *arguments: object) -> None:
        """A command, which must succeed."""
        log = self.home / "command.log"
        with log.open("wb") as output:
            code = self.process(arguments, output).wait()
        assert code == 0, log.read_text(encoding="utf-8")

    def process(self, arguments: Iterable[object], log: IO[bytes], before: str = "") -> Process:
        """Starts a command that prints to the log, and that runs the code `before` first."""
        return subprocess.Popen(
            [sys.executable, "-c", f"{before}\n{MAIN}", *map(str, arguments)],
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=self.home,
        )

    def submit(self, text: str) -> None:
        (self.home / "study.toml").write_text(text, encoding="utf-8")
        self.hpo("submit", "study.toml")

    def start(self, count: int = 1, *options: object) -> None:
        with self.log.open("ab") as log:
            for _ in range(count):
                self.workers.append(self.process(["worker", "--lease", self.lease, *options], log, TRACING))

    def kill(self, worker: Process) -> None:
        """SIGKILL, and a new worker in its place."""
        worker.kill()
        worker.wait()
        self.workers.remove(worker)
        self.start()

    def pause(self, worker: Process, seconds: float) -> None:
        """SIGSTOP for a while."""
        worker.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        worker.send_signal(signal.SIGCONT)

    def drain(self) -> list[int]:
        """SIGTERM to all; their exit codes."""
        for worker in self.workers:
            worker.terminate()
        codes = [worker.wait(60) for worker in self.workers]
        self.workers.clear()
        return codes

    def wait_until_ended(self, name: str, limit: float = LIMIT_SECONDS) -> None:
        deadline = time.monotonic() + limit
        with closing(open_store(self.url)) as store:
            while studies.study_row(store, name).finished_at is None:
                assert time.monotonic() < deadline, f"{name} does not end; see {self.log}"
                dead = [worker.returncode for worker in self.workers if worker.poll() is not None]
                assert not dead, f"a worker ended by itself ({dead}); see {self.log}"
                time.sleep(0.2)

    def wait_for_progress(self, name: str) -> None:
        """Waits until something more has been trained, or the study has ended."""
        deadline = time.monotonic() + LIMIT_SECONDS
        with closing(open_store(self.url)) as store:
            before = studies.study_row(store, name).epochs_spent
            while True:
                row = studies.study_row(store, name)
                if row.epochs_spent > before or row.finished_at is not None:
                    return
                assert time.monotonic() < deadline, f"{name} stands still; see {self.log}"
                time.sleep(0.05)

    def busy(self) -> list[Process]:
        """The workers that hold trials."""
        holding = select(hpo_workers.c.pid).join(hpo_leases, hpo_leases.c.worker == hpo_workers.c.name).distinct()
        with closing(open_store(self.url)) as store, store.reading() as connection:
            pids = set(connection.execute(holding).scalars())
        return [worker for worker in self.workers if worker.pid in pids]

    def warnings(self) -> list[str]:
        """What the workers had to say, without the times."""
        return [line[20:] for line in self.log.read_text(encoding="utf-8").splitlines() if line[:2] == "20"]

    def again(self) -> int:
        """Epochs of trials that were trained to their end more than once; one that was cut short is not known."""
        lines = self.trace.read_text(encoding="utf-8").splitlines() if self.trace.exists() else []
        return len(lines) - len(set(lines))

    def environment(self) -> dict[str, str]:
        settings = {"HPO_STORAGE": self.url, "HPO_HOME": str(self.home), "OMP_NUM_THREADS": "1", TRACE: str(self.trace)}
        return {key: value for key, value in os.environ.items() if not key.startswith("HPO_")} | settings


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """A study whose table is whole."""

    states: Counter[str]
    epochs: int
    """Trial-epochs that were recorded and counted."""
    again: int
    """Trial-epochs that were trained more than once: what was lost."""
    restarted: tuple[str, ...]
    """What trials say that were continued from less than had been reported."""
    winner: int | None
    wall_seconds: float


def inspect(crowd: Crowd, name: str, count: int, *, events: int | None = None) -> Ended:
    """Holds that all trials have ended, each once, without a gap in numbers or epochs, that the budget counted every
    epoch once, and that nothing is held.

    `events`: how often a worker or the server was killed or stopped; what may be lost each time is one epoch of the
    trials in flight. None: what befell the study costs more.
    """
    with closing(open_store(crowd.url)) as store:
        row = studies.study_row(store, name)
        found = store.get_all_trials(row.study_id, deepcopy=False)
        with store.reading() as connection:
            leases = connection.execute(select(hpo_leases)).all()
            columns = (hpo_epochs.c.trial_id, hpo_epochs.c.replica, hpo_epochs.c.epoch)
            of_study = select(*columns).join(trials, trials.c.trial_id == hpo_epochs.c.trial_id)
            rows = connection.execute(of_study.where(trials.c.study_id == row.study_id))
            epochs = Counter((trial_id, replica) for trial_id, replica, _ in rows)
    assert [trial.number for trial in found] == list(range(count)), "numbers have gaps or are too many"
    assert all(trial.state.is_finished() for trial in found), "a trial still runs"
    for trial in found:
        reported = sorted(trial.intermediate_values)
        assert reported == list(range(1, len(reported) + 1)), f"trial {trial.number} lacks epochs"
        assert epochs[trial._trial_id, 0] == trial.user_attrs["epochs"] >= len(reported), f"trial {trial.number}"
    assert not leases, "something is still held"
    recorded = sum(count for (_, replica), count in epochs.items() if replica == 0)
    assert row.epochs_spent == recorded, f"the budget counted {row.epochs_spent} of {recorded} epochs"
    again = crowd.again()
    if events is not None:
        flight = parse_study(row.spec_text, row.spec_source).concurrency
        assert again <= events * flight, f"{again} epochs trained again after {events} events, {flight} in flight"
    return Ended(
        states=Counter(trial.state.name for trial in found),
        epochs=recorded,
        again=again,
        restarted=tuple(
            f"trial {trial.number}, {trial.user_attrs['restarted']}"
            for trial in found
            if "restarted" in trial.user_attrs
        ),
        winner=row.winner_number,
        wall_seconds=row.wall_seconds,
    )
