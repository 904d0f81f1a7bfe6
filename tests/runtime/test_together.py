"""Budgets that several workers spend at the same time: real processes on PostgreSQL."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from benchmarks.crowd import inspect
from hpo.registry import leases, studies
from hpo.storage.open import open_store
from tests.crowd import ForkedCrowd
from tests.runtime.small import small_text
from tests.service.working import wait_for

WORKERS, CONCURRENCY, EPOCHS = 3, 6, 25
LIMIT = 240.0
"""Seconds after which a study counts as stuck."""


@pytest.fixture(scope="module")
def crowd(new_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkedCrowd]:
    """Workers that have nothing to do yet."""
    with ForkedCrowd(new_database(), tmp_path_factory.mktemp("crowd"), lease=5.0) as started:
        with closing(open_store(started.url)) as store:
            started.start(WORKERS)
            wait_for(lambda: len(leases.workers(store)) == WORKERS)
        yield started
        assert started.drain() == [0] * WORKERS


@pytest.mark.parametrize(
    ("budget", "trials", "limit"), [("trials", 16, 0), ("epochs", 200, 300), ("cpu_seconds", 200, 6)]
)
def test_a_budget_holds_over_workers_at_the_same_time(budget: str, trials: int, limit: int, crowd: ForkedCrowd) -> None:
    """`trials` exactly; the others up to the epochs in hand when they were spent."""
    search = f'trials = {trials}\nconcurrency = {CONCURRENCY}\npruner = "none"'
    search += f"\n{budget} = {limit}" if limit else ""
    crowd.submit(small_text(study=f'name = "{budget}"', training=f"epochs = {EPOCHS}", search=search))
    together, deadline = 0, time.monotonic() + LIMIT
    with closing(open_store(crowd.url)) as store:
        while (row := studies.study_row(store, budget)).finished_at is None:
            together = max(together, len(set(leases.holders(store, row.study_id).values())))
            assert time.monotonic() < deadline, f"see {crowd.log}"
            time.sleep(0.02)
        made = store.get_n_trials(row.study_id)
    found = inspect(crowd, budget, made)
    assert together > 1, "they did not work at the same time"
    if budget == "trials":
        assert (made, found.states) == (trials, {"COMPLETE": trials})
        assert found.epochs == trials * EPOCHS
        return
    assert made < trials
    assert found.states.keys() == {"COMPLETE", "PRUNED"}
    assert found.states["PRUNED"] <= CONCURRENCY
    if budget == "epochs":
        assert limit <= found.epochs < limit + CONCURRENCY, "more than the trials in flight had begun"
    else:
        assert row.cpu_seconds >= limit
