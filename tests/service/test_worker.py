"""A worker of the service gives the same results as `hpo run`, alone, among others and when it is interrupted."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from hpo.checkpoints.store import Directory
from hpo.database.tables import hpo_workers
from hpo.errors import StudyStateError
from hpo.execution.job import TrainingJob
from hpo.execution.shard import InProcessShard
from hpo.registry import control, leases, queue
from hpo.service import leased
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from tests.runtime.small import result_of, run, small_study
from tests.service.working import (
    Found,
    found,
    looked,
    row_of,
    run_as_the_command_does,
    serve,
    shards,
    submit,
    wait_for,
    working,
)


def test_one_worker_equals_a_run(spec: StudySpec, expected: Found, tmp_path: Path) -> None:
    submit(spec, tmp_path)
    serve(tmp_path)
    assert found(spec, tmp_path) == expected
    row = row_of(tmp_path)
    assert row.winner_number is not None
    assert row.test is not None
    files = {path.name.partition("-")[0] for path in (tmp_path / "checkpoints" / "small").iterdir()}
    assert files == {"best", "final"}, "what was saved of running trials is gone"


def test_workers_come_and_go(spec: StudySpec, expected: Found, tmp_path: Path) -> None:
    submit(spec, tmp_path)
    for epochs in (5, 15, 40):
        with working(tmp_path):
            wait_for(lambda epochs=epochs: row_of(tmp_path).epochs_spent >= epochs)
        with closing(open_store(sqlite_url(tmp_path))) as store:
            assert leases.workers(store) == []
            assert leases.holders(store, row_of(tmp_path).study_id) == {}
    serve(tmp_path)
    assert found(spec, tmp_path) == expected


def test_two_workers_share_a_study_exactly(tmp_path: Path) -> None:
    spec = small_study(training="epochs = 12", search='trials = 40\nconcurrency = 4\npruner = "none"')
    submit(spec, tmp_path)
    with working(tmp_path) as first, working(tmp_path) as second, closing(open_store(sqlite_url(tmp_path))) as store:
        study_id = row_of(tmp_path).study_id
        wait_for(lambda: set(leases.holders(store, study_id).values()) == {first.name, second.name})
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    trials, epochs = found(spec, tmp_path)
    assert [trial["number"] for trial in trials] == list(range(40))
    assert {trial["state"] for trial in trials} == {"COMPLETE"}
    assert len(epochs) == row_of(tmp_path).epochs_spent == 40 * 12


def test_a_worker_may_be_told_which_studies(tmp_path: Path) -> None:
    submit(small_study(study='name = "other"', search="trials = 2"), tmp_path, priority=9)
    submit(small_study(search="trials = 2"), tmp_path)
    serve(tmp_path, names=["small"])
    assert row_of(tmp_path, "other").epochs_spent == 0


def test_a_study_of_higher_priority_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leased, "PRIORITY_CHECK_SECONDS", 0.0)
    slow = small_study(training="epochs = 400", search='trials = 6\nconcurrency = 3\npruner = "none"')
    urgent = small_study(study='name = "urgent"', search="trials = 2")
    submit(slow, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 3)
        submit(urgent, tmp_path, priority=1)
        wait_for(lambda: row_of(tmp_path, "urgent").finished_at is not None)
        assert row_of(tmp_path).finished_at is None
        before = row_of(tmp_path).epochs_spent
        wait_for(lambda: row_of(tmp_path).epochs_spent > before)


@pytest.mark.parametrize("moment", ["after its end", "while it runs"])
def test_a_study_that_was_deleted_and_submitted_again_is_another_one(moment: str, tmp_path: Path) -> None:
    """SQLite gives it the same id, and both have been submitted once."""
    old = small_study(training="epochs = 400" if moment == "while it runs" else "epochs = 3")
    new = small_study(data='dataset = "iris"', training="epochs = 5")
    expected = result_of(new, tmp_path / "run")
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        submit(old, tmp_path)
        before = row_of(tmp_path).study_id
        if moment == "while it runs":
            wait_for(lambda: row_of(tmp_path).epochs_spent >= 5)
        else:
            wait_for(lambda: row_of(tmp_path).finished_at is not None)
        store.delete_study(before)
        submit(new, tmp_path)
        assert row_of(tmp_path).study_id == before
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert found(new, tmp_path) == expected


def test_a_study_that_another_worker_concludes_is_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = small_study(search="trials = 2")
    run(spec, tmp_path)
    submit(spec, tmp_path)
    study_id = row_of(tmp_path).study_id
    worked_on: list[str] = []

    def counted(job: TrainingJob) -> InProcessShard:
        worked_on.append(job.spec.study.name)
        return InProcessShard(job)

    with closing(open_store(sqlite_url(tmp_path))) as store:
        leases.register_worker(store, "other", "host", 1, 60.0)
        leases.set_current_study(store, "other", study_id)
        assert queue.begin_conclusion(store, study_id, "other", row_of(tmp_path).generation)
        looks = looked(monkeypatch)
        with working(tmp_path, open_channel=counted):
            wait_for(lambda: len(looks) > 3)
            assert worked_on == []
            leases.unregister_worker(store, "other")
            wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert worked_on == ["small"]


def test_stopping_and_resuming(spec: StudySpec, expected: Found, tmp_path: Path) -> None:
    submit(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 10)
        control.stop(store, "small")
        study_id = row_of(tmp_path).study_id
        wait_for(lambda: not leases.holders(store, study_id))
        before = row_of(tmp_path).epochs_spent
        assert queue.queue(store) == []
        control.resume(store, "small")
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert row_of(tmp_path).epochs_spent > before
    assert found(spec, tmp_path) == expected


def test_a_run_and_workers_keep_out_of_each_others_way(spec: StudySpec, expected: Found, tmp_path: Path) -> None:
    submit(spec, tmp_path)
    with pytest.raises(StudyStateError, match=r"was submitted to workers.*hpo stop small"):
        run_as_the_command_does(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 10)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        control.stop(store, "small")
    run_as_the_command_does(spec, tmp_path)
    assert found(spec, tmp_path) == expected
    assert row_of(tmp_path).submitted_at is None


def test_a_worker_whose_row_was_deleted_registers_again(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path, lease_seconds=0.3) as worker:
        wait_for(lambda: [each.name for each in leases.workers(store)] == [worker.name])
        store.write(hpo_workers.delete())
        wait_for(lambda: [each.name for each in leases.workers(store)] == [worker.name])


def test_nothing_slow_happens_while_the_database_waits(spec: StudySpec, expected: Found, tmp_path: Path) -> None:
    """A transaction that has begun keeps others waiting, and PostgreSQL ends one that idles for long."""
    begun: list[str] = []
    doing: list[str] = []

    class Watched(Directory):
        def put(self, name: str, data: bytes) -> None:
            watch("put")
            super().put(name, data)

    def watch(what: str) -> None:
        doing.append(what)
        (store,) = {worker.store}
        if store._transaction is not None and store._transaction.begun is not None:
            begun.append(what)

    submit(spec, tmp_path)
    watched = shards(before=lambda job, order: watch(type(order).__name__))
    with working(tmp_path, checkpoint_store=Watched(tmp_path), open_channel=watched) as worker:
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert set(doing) == {"Admit", "Train", "Diagnose", "Settle", "put"}
    assert begun == []
    assert found(spec, tmp_path) == expected
