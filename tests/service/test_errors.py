"""A worker goes on after errors: of its database, of one study, of the place with the data."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hpo.checkpoints.manager import CheckpointManager
from hpo.errors import RefusedStatementError, StorageError
from hpo.execution.job import TrainingJob
from hpo.execution.messages import Admit, Order, Train
from hpo.registry import leases, queue
from hpo.runtime.ownership import LostTrials
from hpo.service import backoff
from hpo.service import worker as module
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from tests.runtime.small import small_study, trials_of
from tests.service.working import (
    Fault,
    Found,
    Shard,
    found,
    looked,
    row_of,
    serve,
    shards,
    submit,
    wait_for,
    working,
)


def before(kind: type[Order], fault: Fault) -> Callable[[TrainingJob], Shard]:
    """Shards with a fault at each order of a kind."""

    def check(job: TrainingJob, order: Order) -> None:
        if isinstance(order, kind):
            fault()

    return shards(before=check)


def patched(place: Any, name: str, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a fault at each call of a function."""
    original = getattr(place, name)

    def wrapped(*arguments: Any, **options: Any) -> Any:
        fault()
        return original(*arguments, **options)

    monkeypatch.setattr(place, name, wrapped)


@pytest.mark.parametrize("moment", ["status", "train", "save", "sweep"])
def test_a_database_that_fails_at_any_moment_changes_nothing(
    moment: str,
    spec: StudySpec,
    expected: Found,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    submit(spec, tmp_path)
    fault = Fault((2, 7, 20), StorageError("planted. Run the same command again.", finding="planted."))
    options: dict[str, Any] = {}
    if moment == "status":
        patched(queue, "status", fault, monkeypatch)
    elif moment == "train":
        options = {"open_channel": before(Train, fault)}
    elif moment == "save":
        patched(CheckpointManager, "save_running", fault, monkeypatch)
    else:
        patched(CheckpointManager, "sweep", fault, monkeypatch)
    serve(tmp_path, **options)
    assert fault.calls > 20
    assert found(spec, tmp_path) == expected
    assert caplog.messages.count("small: planted. Going on from what is saved.") == 3
    assert "command" not in caplog.text


@pytest.mark.parametrize("error", [LostTrials("planted."), StorageError("planted"), ZeroDivisionError("planted")])
def test_trials_left_after_an_error_are_free_while_the_worker_does_other_work(
    error: Exception, spec: StudySpec, tmp_path: Path
) -> None:
    held: list[set[int]] = []

    def watch(job: TrainingJob, order: Order) -> None:
        if not isinstance(order, Train):
            return
        held.append(set(leases.holders(watcher, row_of(tmp_path).study_id)))
        if len(held) == 3:
            submit(small_study(study='name = "other"', search="trials = 2"), tmp_path, priority=1)
            raise error

    submit(spec, tmp_path)
    with (
        closing(open_store(sqlite_url(tmp_path), readonly=True)) as watcher,
        working(tmp_path, open_channel=shards(before=watch)),
    ):
        wait_for(lambda: len(held) > 3)
    assert all(held[:3])
    assert held[3] == set()


def test_a_bug_in_one_study_does_not_end_the_worker(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first = small_study(study='name = "first"', search="trials = 2")
    second = small_study(search="trials = 2")
    submit(first, tmp_path, priority=1)
    submit(second, tmp_path)
    serve(tmp_path, open_channel=before(Admit, Fault((1,), ZeroDivisionError("planted"))))
    assert "first: left to other workers for a while: ZeroDivisionError: planted" in caplog.text
    assert row_of(tmp_path, "first").finished_at is None
    serve(tmp_path, "first")
    assert len(trials_of(first, tmp_path)) == 2


@pytest.mark.parametrize(
    ("error", "tries"), [(StorageError("planted"), backoff.FAILURES), (RefusedStatementError("planted"), 1)]
)
def test_other_studies_are_trained_while_the_database_fails_for_one(
    error: StorageError, tries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    submit(small_study(study='name = "first"', search="trials = 2"), tmp_path, priority=1)
    submit(small_study(search="trials = 2"), tmp_path)
    tried = []

    def fail_the_first(job: TrainingJob, order: Order) -> None:
        if job.spec.study.name == "first":
            tried.append(row_of(tmp_path).finished_at)
            raise error

    with (
        closing(open_store(sqlite_url(tmp_path))) as store,
        working(tmp_path, open_channel=shards(before=fail_the_first)),
    ):
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
        wait_for(lambda: any("planted" in each.refusals.get("first", "") for each in leases.workers(store)))
        looks = looked(monkeypatch)
        wait_for(lambda: len(looks) > 3)
    assert len(tried) == tries
    assert tried.count(None) <= 1, "the other one had to wait for more than one failure"


def test_a_study_whose_data_is_missing_is_left_to_others(tmp_path: Path) -> None:
    data = tmp_path / "data.csv"
    rows = [f"{i % 7},{(i * 3) % 5},{i % 2}" for i in range(60)]
    data.write_text("a,b,y\n" + "\n".join(rows), encoding="utf-8")
    spec = small_study(folder=tmp_path, data='dataset = "data.csv"\ntarget = "y"', search="trials = 2")
    submit(spec, tmp_path)
    data.rename(tmp_path / "elsewhere.csv")
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        wait_for(lambda: any(worker.refusals for worker in leases.workers(store)))
        (worker,) = leases.workers(store)
        assert "data.csv" in worker.refusals["small"]
        assert not worker.alive or worker.study_id is None
        (tmp_path / "elsewhere.csv").rename(data)
    serve(tmp_path)
    assert len(trials_of(spec, tmp_path)) == 2


def test_a_study_is_tried_again_after_its_back_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder with the data was away for a moment."""
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.1)
    data = tmp_path / "data.csv"
    data.write_text("a,b,y\n" + "\n".join(f"{i % 7},{(i * 3) % 5},{i % 2}" for i in range(60)), encoding="utf-8")
    spec = small_study(
        folder=tmp_path, data='dataset = "data.csv"\ntarget = "y"', training="epochs = 30", search="trials = 40"
    )
    submit(spec, tmp_path)
    data.rename(tmp_path / "elsewhere.csv")
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        wait_for(lambda: any(worker.refusals for worker in leases.workers(store)))
        (tmp_path / "elsewhere.csv").rename(data)
        wait_for(lambda: row_of(tmp_path).epochs_spent > 0)
        wait_for(lambda: not any(worker.refusals for worker in leases.workers(store)))
        assert row_of(tmp_path).finished_at is None, "it says so while it trains"
