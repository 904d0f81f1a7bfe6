"""A worker of the service in a thread of the test, with a shard that can fail at chosen orders, and what it leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.execution.job import TrainingJob
from hpo.execution.messages import Order, Reply
from hpo.execution.resources import Resources
from hpo.execution.shard import InProcessShard
from hpo.registry import queue, studies
from hpo.registry.studies import StudyRow
from hpo.runtime.local_run import run_study
from hpo.runtime.setup.submission import submit_study
from hpo.service.worker import Worker
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from hpo.studyfile.study import StudySpec
from tests.runtime.small import epochs_of, trials_of

LIMIT = 300.0
"""Seconds after which something counts as stuck, also on a machine with much else to do."""

LONG = {"training": "epochs = 12", "search": 'trials = 12\nconcurrency = 3\npruner = { name = "median" }'}
"""Tables of a study that trains long enough to be interrupted."""

Found = tuple[list[dict[str, Any]], list[tuple[Any, ...]]]
"""Trials and epochs of a study."""


class Shard(InProcessShard):
    """A shard that calls functions of the test before it executes an order, and with the reply. They may raise."""

    def __init__(
        self, job: TrainingJob, before: Callable[[TrainingJob, Order], None], after: Callable[[Reply], None]
    ) -> None:
        super().__init__(job)
        self.job = job
        self.before = before
        self.after = after

    def receive(self) -> Reply:
        assert self._order is not None
        self.before(self.job, self._order)
        reply = super().receive()
        self.after(reply)
        return reply


def shards(
    before: Callable[[TrainingJob, Order], None] = lambda job, order: None,
    after: Callable[[Reply], None] = lambda reply: None,
) -> Callable[[TrainingJob], Shard]:
    """Opens such shards; the option `open_channel` of `working` and `serve`."""
    return lambda job: Shard(job, before, after)


class Fault:
    """Raises an error at some of its calls."""

    def __init__(self, at: Collection[int], error: Exception) -> None:
        self.at = at
        self.error = error
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls in self.at:
            raise self.error


def found(spec: StudySpec, home: Path) -> Found:
    return trials_of(spec, home), epochs_of(spec, home)


def run_as_the_command_does(spec: StudySpec, home: Path) -> None:
    run_study(spec, sqlite_url(home), home, lambda progress: None, device="cpu")


def submit(spec: StudySpec, home: Path, priority: int = 0) -> None:
    submit_study(spec, sqlite_url(home), home, priority=priority)


@contextmanager
def working(home: Path, *, checkpoint_store: CheckpointStore | None = None, **options: Any) -> Iterator[Worker]:
    """A worker that works while the block runs, and has ended after it."""
    with closing(open_store(sqlite_url(home))) as store:
        worker = Worker(
            store, home, checkpoint_store or Directory(home), Resources(lanes=8), **({"lease_seconds": 5.0} | options)
        )
        failures: list[BaseException] = []

        def run() -> None:
            try:
                worker.run()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield worker
        finally:
            worker.ending.set()
            thread.join(LIMIT)
        assert not thread.is_alive(), "the worker does not end"
        assert not failures, failures


def row_of(home: Path, name: str = "small") -> StudyRow:
    return studies.study_row(_reader(home, (home / "hpo.db").stat().st_ino), name)


@lru_cache(maxsize=1)
def _reader(home: Path, file: int) -> Store:
    """Stays open from look to look: opening takes longer than a small study's epoch."""
    return open_store(sqlite_url(home), readonly=True)


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def serve(home: Path, name: str = "small", **options: Any) -> Worker:
    """Has one worker work until the study has ended."""
    with working(home, **options) as worker:
        wait_for(lambda: row_of(home, name).finished_at is not None)
    return worker


def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows whenever a worker looks for work."""
    listed, looks = queue.queue, []

    def wrapped(*arguments: Any) -> Any:
        looks.append(1)
        return listed(*arguments)

    monkeypatch.setattr(queue, "queue", wrapped)
    return looks
