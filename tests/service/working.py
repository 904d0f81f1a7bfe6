"""A worker of the service in a thread of the test, and what it leaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.execution.resources import Resources
from hpo.registry import studies
from hpo.registry.studies import StudyRow
from hpo.runtime.submission import submit_study
from hpo.service.worker import Worker
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec

LIMIT = 60.0
"""Seconds after which something counts as stuck."""


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
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return studies.study_row(store, name)


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
