"""Leases that expire and checkpoints that are lost: no result changes, and nothing of others is overwritten."""

from __future__ import annotations

import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from hpo.checkpoints.manager import CheckpointManager
from hpo.checkpoints.store import Directory
from hpo.database.tables import hpo_leases
from hpo.errors import MachineError
from hpo.execution.job import TrainingJob
from hpo.execution.messages import End, Order, Settled, Train
from hpo.registry import control, leases
from hpo.runtime.local_run import run_study
from hpo.runtime.ownership import LostTrials
from hpo.runtime.session import Session
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec
from tests.runtime.small import epochs_of, in_session, run
from tests.service.working import (
    LIMIT,
    Found,
    found,
    row_of,
    serve,
    shards,
    submit,
    wait_for,
    working,
)


def test_a_dead_workers_trials_are_waited_for(spec: StudySpec, expected: Found, tmp_path: Path) -> None:
    """A worker took them and died at once; the checkpoints are there."""
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 10)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        leases.register_worker(store, "dead", "host", 1, 2.0)
        study_id = row_of(tmp_path).study_id
        leases.set_current_study(store, "dead", study_id)
        assert leases.take(store, study_id, "dead", 9)
    serve(tmp_path)
    assert found(spec, tmp_path) == expected


def test_lanes_of_trials_that_another_worker_has_taken_are_dropped(
    spec: StudySpec, expected: Found, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As for a worker that was suspended for longer than its lease."""
    submit(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path) as worker:
        study_id = row_of(tmp_path).study_id
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 6)
        leases.register_worker(store, "other", "host", 1, 60.0)
        store.write(update(hpo_leases).where(hpo_leases.c.worker == worker.name).values(worker="other"))
        wait_for(lambda: "drops its lanes" in caplog.text)
        taken = set(leases.holders(store, study_id))
        saved = {row.trial_id for row in store.checkpoints(study_id) if row.kind == "running"}
        assert taken <= saved, "what the others have to go on with is gone"
        leases.release(store, "other", list(leases.holders(store, study_id)))
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
        leases.unregister_worker(store, "other")
    trials, epochs = found(spec, tmp_path)
    assert not [trial for trial in trials if "restarted" in trial]
    assert [trial["number"] for trial in trials] == list(range(12))
    numbers = [row[:3] for row in epochs]
    assert len(numbers) == len(set(numbers))
    assert row_of(tmp_path).epochs_spent == len(numbers)


def test_a_worker_that_was_suspended_while_a_run_took_its_study_writes_nothing(
    spec: StudySpec, expected: Found, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stopped in an epoch, for longer than its lease, while people stop the study and run it."""
    submit(spec, tmp_path)
    asleep, awake = threading.Event(), threading.Event()

    def sleep(job: TrainingJob, order: Order) -> None:
        if isinstance(order, Train) and row_of(tmp_path).epochs_spent >= 10:
            asleep.set()
            assert awake.wait(LIMIT)

    with (
        closing(open_store(sqlite_url(tmp_path))) as store,
        working(tmp_path, open_channel=shards(before=sleep)) as worker,
    ):
        assert asleep.wait(LIMIT)
        worker.heartbeat.stop()
        leases.send_heartbeat(store, worker.name, -1.0)
        control.stop(store, "small")
        trained = []

        def wake(progress: Any) -> None:
            trained.append(progress)
            if len(trained) == 3:
                awake.set()
                wait_for(lambda: "drops its lanes" in caplog.text)

        run_study(spec, sqlite_url(tmp_path), tmp_path, wake, device="cpu")
    assert found(spec, tmp_path) == expected
    assert row_of(tmp_path).epochs_spent == len(epochs_of(spec, tmp_path))


def test_a_worker_whose_lease_expired_overwrites_no_weights(spec: StudySpec, tmp_path: Path) -> None:
    """Its trial was ended by another worker meanwhile, so its transaction fails when its files are written."""
    run(spec, tmp_path)

    def action(session: Session) -> None:
        trial = session.searcher.ranking()[0]

        def keep(worker: str, weights: bytes) -> None:
            end = End(epoch=12, state=weights)
            settled = Settled(lanes=None, epochs={}, weights={trial.number: weights}, ends={trial.number: end})
            manager = CheckpointManager(session.checkpoints, Directory(tmp_path), worker)
            with session.store.transaction():
                manager.save_best({trial.number}, [settled])
                manager.save_ends({trial.number}, [settled])
                if worker == "silent":
                    raise LostTrials("planted")

        keep("alive", b"those that count")
        with pytest.raises(LostTrials):
            keep("silent", b"others")
        rows = [r for r in session.store.checkpoints(session.study_id) if r.trial_id == trial._trial_id]
        assert {row.kind: (tmp_path / row.path).read_bytes() for row in rows} == {
            "best": b"those that count",
            "final": b"those that count",
        }

    in_session(spec, tmp_path, action)


def test_a_full_disk_is_a_warning(
    spec: StudySpec, expected: Found, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(Directory):
        def put(self, name: str, data: bytes) -> None:
            raise MachineError(f"The checkpoint {name} cannot be written: No space left on device.")

    submit(spec, tmp_path)
    serve(tmp_path, checkpoint_store=Full(tmp_path))
    assert found(spec, tmp_path) == expected
    assert row_of(tmp_path).test is not None, "the winner is trained again"
    assert caplog.text.count("No space left on device") == 1


def test_a_trial_without_a_readable_checkpoint_starts_again_and_says_so(
    spec: StudySpec, expected: Found, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 10)
    files = list((tmp_path / "checkpoints" / "small").glob("running-*.pt"))
    assert files
    for file in files:
        file.write_bytes(file.read_bytes()[:99])
    serve(tmp_path)
    trials, epochs = found(spec, tmp_path)
    said = {trial["number"]: trial.pop("restarted") for trial in trials if "restarted" in trial}
    assert (trials, epochs) == expected
    assert said
    assert all("trained again: their checkpoint cannot be read" in text for text in said.values())
    (line,) = [line for line in caplog.messages if "trained again" in line]
    assert f"epochs of trials {', '.join(map(str, said))} are trained again" in line
    assert line.endswith("in all: their checkpoint cannot be read")
