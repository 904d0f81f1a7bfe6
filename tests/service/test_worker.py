"""A worker of the service: same results as `hpo run`, also after failures of the worker, its database or
checkpoints."""

from __future__ import annotations

import hashlib
import logging
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from hpo.checkpoints.store import Directory
from hpo.checkpoints.worker_manager import WorkerCheckpoints
from hpo.database.tables import hpo_leases, hpo_workers
from hpo.errors import MachineError, RefusedStatementError, StorageError, StudyStateError
from hpo.execution.executor import Executor
from hpo.execution.messages import End, Settled
from hpo.registry import control, leases, queue
from hpo.registry.queue import StudyStatus
from hpo.runtime import coordinator
from hpo.runtime.local_run import run_study
from hpo.runtime.ownership import LostTrials
from hpo.runtime.progress import Progress
from hpo.runtime.session import Session
from hpo.runtime.winner import Winner, find
from hpo.service import backoff, leased
from hpo.service import worker as module
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from hpo.studyfile.study import StudySpec, fingerprint, trial_epochs, with_epochs
from hpo.training.trainer import Tick, Trainer
from tests.runtime.small import TABLES, epochs_of, in_session, result_of, run, small_study, trials_of, with_trials
from tests.service.working import row_of, serve, submit, wait_for, working

LONG = {"training": "epochs = 12", "search": 'trials = 12\nconcurrency = 3\npruner = { name = "median" }'}


def found(spec: StudySpec, home: Path) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    return trials_of(spec, home), epochs_of(spec, home)


@pytest.fixture
def spec() -> StudySpec:
    return small_study(**LONG)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    return result_of(small_study(**LONG), tmp_path_factory.mktemp("expected"))


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Has a function raise at one of its calls."""

    def fail(place: Any, name: str, call: int, error: Exception) -> list[int]:
        calls: list[int] = []
        original = getattr(place, name)

        def wrapped(*arguments: Any, **options: Any) -> Any:
            calls.append(1)
            if len(calls) == call:
                raise error
            return original(*arguments, **options)

        monkeypatch.setattr(place, name, wrapped)
        return calls

    return fail


def test_one_worker_equals_a_run(spec: StudySpec, expected: Any, tmp_path: Path) -> None:
    submit(spec, tmp_path)
    serve(tmp_path)
    assert found(spec, tmp_path) == expected
    row = row_of(tmp_path)
    assert row.winner_number is not None
    assert row.test is not None
    files = {path.name.partition("-")[0] for path in (tmp_path / "checkpoints" / "small").iterdir()}
    assert files == {"best", "final"}, "what was saved of running trials is gone"


@pytest.mark.parametrize("call", [2, 7, 20])
@pytest.mark.parametrize(
    "place", [(queue, "status"), (Trainer, "tick"), (WorkerCheckpoints, "save_running"), (WorkerCheckpoints, "sweep")]
)
def test_a_database_that_fails_at_any_moment_changes_nothing(
    place: tuple[Any, str],
    call: int,
    spec: StudySpec,
    expected: Any,
    tmp_path: Path,
    failing: Callable[..., list[int]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    submit(spec, tmp_path)
    calls = failing(*place, call, StorageError("planted. Run the same command again.", finding="planted."))
    serve(tmp_path)
    assert len(calls) > call
    assert found(spec, tmp_path) == expected
    assert "small: planted. Going on from what is saved." in caplog.messages
    assert "command" not in caplog.text


def test_workers_come_and_go(spec: StudySpec, expected: Any, tmp_path: Path) -> None:
    submit(spec, tmp_path)
    for epochs in (5, 15, 40):
        with working(tmp_path):
            wait_for(lambda epochs=epochs: row_of(tmp_path).epochs_spent >= epochs)
        with closing(open_store(sqlite_url(tmp_path))) as store:
            assert leases.workers(store) == []
            assert leases.holders(store, row_of(tmp_path).study_id) == {}
    serve(tmp_path)
    assert found(spec, tmp_path) == expected


def test_a_dead_workers_trials_are_waited_for(spec: StudySpec, expected: Any, tmp_path: Path) -> None:
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
    spec: StudySpec, expected: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
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


@pytest.mark.parametrize("error", [LostTrials("planted."), StorageError("planted"), ZeroDivisionError("planted")])
def test_trials_left_after_an_error_are_free_while_the_worker_does_other_work(
    error: Exception, spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tick, held = Trainer.tick, []

    def watched(trainer: Trainer) -> Tick:
        held.append(set(leases.holders(watcher, row_of(tmp_path).study_id)))
        if len(held) == 3:
            submit(small_study(study='name = "other"', search="trials = 2"), tmp_path, priority=1)
            raise error
        return tick(trainer)

    monkeypatch.setattr(Trainer, "tick", watched)
    submit(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path), readonly=True)) as watcher, working(tmp_path):
        wait_for(lambda: len(held) > 3)
    assert all(held[:3])
    assert held[3] == set()


def test_nothing_slow_happens_while_the_database_waits(spec: StudySpec, expected: Any, tmp_path: Path) -> None:
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
    with pytest.MonkeyPatch.context() as patch, working(tmp_path, checkpoint_store=Watched(tmp_path)) as worker:
        for name in ("admit", "resume", "tick", "settle"):
            original = getattr(Executor, name)

            def watched(
                *arguments: Any, name: str = name, original: Callable[..., Any] = original, **options: Any
            ) -> Any:
                watch(name)
                return original(*arguments, **options)

            patch.setattr(Executor, name, watched)
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert set(doing) == {"admit", "tick", "settle", "put"}
    assert begun == []
    assert found(spec, tmp_path) == expected


def test_a_worker_whose_lease_expired_overwrites_no_weights(spec: StudySpec, tmp_path: Path) -> None:
    """Its trial was ended by another worker meanwhile, so its transaction fails when its files are written."""
    run(spec, tmp_path)

    def action(session: Session) -> None:
        trial = session.searcher.ranking()[0]

        def keep(worker: str, weights: bytes) -> None:
            end = End(epoch=12, state=weights)
            settled = Settled(lanes=None, epochs={}, weights={trial.number: weights}, ends={trial.number: end})
            manager = WorkerCheckpoints(session.checkpoints, Directory(tmp_path), worker)
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
    spec: StudySpec, expected: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
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
    spec: StudySpec, expected: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
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


def test_a_bug_in_one_study_does_not_end_the_worker(
    tmp_path: Path, failing: Callable[..., list[int]], caplog: pytest.LogCaptureFixture
) -> None:
    first = small_study(study='name = "first"', search="trials = 2")
    second = small_study(search="trials = 2")
    submit(first, tmp_path, priority=1)
    submit(second, tmp_path)
    failing(Trainer, "admit", 1, ZeroDivisionError("planted"))
    serve(tmp_path)
    assert "first: left to other workers for a while: ZeroDivisionError: planted" in caplog.text
    assert row_of(tmp_path, "first").finished_at is None
    serve(tmp_path, "first")
    assert len(trials_of(first, tmp_path)) == 2


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


@pytest.mark.parametrize(
    ("error", "tries"), [(StorageError("planted"), backoff.FAILURES), (RefusedStatementError("planted"), 1)]
)
def test_other_studies_are_trained_while_the_database_fails_for_one(
    error: StorageError, tries: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.01)
    submit(small_study(study='name = "first"', search="trials = 2"), tmp_path, priority=1)
    submit(small_study(search="trials = 2"), tmp_path)
    run, tried = coordinator.run, []

    def failing_for_the_first(session: Session, *arguments: Any) -> Progress:
        if session.spec.study.name == "first":
            tried.append(row_of(tmp_path).finished_at)
            raise error
        return run(session, *arguments)

    monkeypatch.setattr(coordinator, "run", failing_for_the_first)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
        wait_for(lambda: any("planted" in each.refusals.get("first", "") for each in leases.workers(store)))
        looks = looked(monkeypatch)
        wait_for(lambda: len(looks) > 3)
    assert len(tried) == tries
    assert tried.count(None) <= 1, "the other one had to wait for more than one failure"


def looked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows whenever a worker looks for work."""
    listed, looks = queue.queue, []

    def wrapped(*arguments: Any) -> Any:
        looks.append(1)
        return listed(*arguments)

    monkeypatch.setattr(queue, "queue", wrapped)
    return looks


def test_a_study_that_another_worker_concludes_is_no_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = small_study(search="trials = 2")
    run(spec, tmp_path)
    submit(spec, tmp_path)
    study_id = row_of(tmp_path).study_id
    worked_on: list[str] = []
    work_on = module.Worker._work_on

    def counted(worker: module.Worker, study: StudyStatus) -> bool:
        worked_on.append(study.name)
        return work_on(worker, study)

    monkeypatch.setattr(module.Worker, "_work_on", counted)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        leases.register_worker(store, "other", "host", 1, 60.0)
        leases.set_current_study(store, "other", study_id)
        assert queue.begin_conclusion(store, study_id, "other", row_of(tmp_path).generation)
        looks = looked(monkeypatch)
        with working(tmp_path):
            wait_for(lambda: len(looks) > 3)
            assert worked_on == []
            leases.unregister_worker(store, "other")
            wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert worked_on == ["small"]


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


def test_a_worker_may_be_told_which_studies(tmp_path: Path) -> None:
    submit(small_study(study='name = "other"', search="trials = 2"), tmp_path, priority=9)
    submit(small_study(search="trials = 2"), tmp_path)
    serve(tmp_path, names=["small"])
    assert row_of(tmp_path, "other").epochs_spent == 0


def test_two_workers_share_a_study_exactly(tmp_path: Path) -> None:
    spec = small_study(training="epochs = 30", search='trials = 40\nconcurrency = 4\npruner = "none"')
    submit(spec, tmp_path)
    with working(tmp_path) as first, working(tmp_path) as second, closing(open_store(sqlite_url(tmp_path))) as store:
        study_id = row_of(tmp_path).study_id
        wait_for(lambda: set(leases.holders(store, study_id).values()) == {first.name, second.name})
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    trials, epochs = found(spec, tmp_path)
    assert [trial["number"] for trial in trials] == list(range(40))
    assert {trial["state"] for trial in trials} == {"COMPLETE"}
    assert len(epochs) == row_of(tmp_path).epochs_spent == 40 * 30


def test_stopping_and_resuming(spec: StudySpec, expected: Any, tmp_path: Path) -> None:
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


def extend(store: Store, spec: StudySpec, epochs: int) -> list[int]:
    longer = fingerprint(with_epochs(spec, epochs))
    row = control.submitted(store, spec.study.name)
    before = row.trial_epochs or trial_epochs(spec)
    return control.extend_epochs(store, row, epochs, before=before, fingerprint=longer)


def steady(epochs: int, budget: str = "") -> StudySpec:
    """A study whose trials get better with each epoch."""
    return small_study(
        study='name = "small"\nseed = 3\nobjective = "loss"',
        training=f"epochs = {epochs}",
        search='trials = 6\nconcurrency = 3\nsampler = "random"\npruner = "none"' + budget,
    )


def test_more_epochs_end_as_if_there_had_been_as_many_from_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short, long = (steady(epochs) for epochs in (4, 9))
    run_as_the_command_does(long, tmp_path / "long")
    expected, scored = found(long, tmp_path / "long"), row_of(tmp_path / "long")
    submit(short, tmp_path)
    serve(tmp_path)
    before = row_of(tmp_path)
    assert before.winner_number == scored.winner_number, "else the study shows nothing of its score"
    assert before.test != scored.test
    with closing(open_store(sqlite_url(tmp_path))) as store:
        assert extend(store, short, 9) == list(range(6))
    between = row_of(tmp_path)
    assert (between.winner_number, between.test) == (None, None)
    serve(tmp_path)
    trials, epochs = found(short, tmp_path)
    again = {trial["number"]: trial.pop("restarted") for trial in trials if "restarted" in trial}
    assert (trials, epochs) == expected
    assert len(again) == 3, "the three best went on from their last state"
    assert set(again.values()) == {"epoch 1 to 4 trained again: their last state was not kept"}
    lines = [line for line in caplog.messages if "trained again" in line]
    assert all("their last state was not kept" in line for line in lines)
    assert len(lines) <= 2, "a line each time that the worker takes some"
    after = row_of(tmp_path)
    assert (after.winner_number, after.test) == (scored.winner_number, scored.test)
    assert after.facts.test_looks == (after.winner_number,) * 2
    # Of each of the best, one file of weights and one of the last state, and the rows say what is in them.
    with closing(open_store(sqlite_url(tmp_path))) as store:
        rows = store.checkpoints(after.study_id)
    best_epoch = {trial["number"]: trial["best_epoch"] for trial in trials}
    numbers = sorted({row.trial_id - 1 for row in rows})
    assert sorted((row.kind, row.trial_id - 1, row.epoch) for row in rows) == [
        *(("best", number, best_epoch[number]) for number in numbers),
        *(("final", number, 9) for number in numbers),
    ]
    assert {row.sha256 for row in rows} == {
        hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "checkpoints" / "small").glob("*.pt")
    }
    # A run of the same file, whose trials are longer now, has nothing left to do.
    run(with_epochs(short, 9), tmp_path)
    assert found(short, tmp_path)[1] == expected[1]


@pytest.mark.parametrize("epochs", [5, 9])
def test_more_epochs_may_be_trained_by_a_run(epochs: int, tmp_path: Path) -> None:
    short, long = steady(4), steady(epochs)
    run_as_the_command_does(long, tmp_path / "long")
    submit(short, tmp_path)
    serve(tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        extend(store, short, epochs)
        control.stop(store, "small")
        run_as_the_command_does(short, tmp_path)
        rows = store.checkpoints(row_of(tmp_path).study_id)
    assert found(short, tmp_path) == found(long, tmp_path / "long")
    assert row_of(tmp_path).test == row_of(tmp_path / "long").test
    assert len({(row.trial_id, row.kind) for row in rows}) == len(rows)
    assert sorted(row.kind for row in rows) == ["best"] * 3 + ["final"] * 3


def test_more_epochs_while_trials_train_their_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    short, long = (steady(epochs) for epochs in (4, 9))
    expected = result_of(long, tmp_path / "long")
    submit(short, tmp_path)
    train, given = Trainer.tick, []

    def tick(trainer: Trainer) -> Tick:
        trained = train(trainer)
        if not given and any(lane.epoch == 4 for lane in trained.epochs):
            with closing(open_store(sqlite_url(tmp_path))) as store:
                given.append(extend(store, short, 9))
        return trained

    monkeypatch.setattr(Trainer, "tick", tick)
    serve(tmp_path)
    assert given == [[]], "none had ended yet"
    assert found(short, tmp_path) == expected
    assert row_of(tmp_path).epochs_spent == 6 * 9


def test_more_epochs_while_the_winner_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials continue from what was saved, and the score that has just been computed is dropped."""
    short, long = (steady(epochs) for epochs in (4, 9))
    expected = result_of(long, tmp_path / "long")
    submit(short, tmp_path)
    calls = []

    def find_late(session: Session, go_on: Callable[[], None]) -> Winner | None:
        calls.append(session)
        winner = find(session, go_on)
        if len(calls) == 1:
            with closing(open_store(sqlite_url(tmp_path))) as store:
                assert extend(store, short, 9) == list(range(6))
        return winner

    monkeypatch.setattr(module, "find", find_late)
    serve(tmp_path)
    assert len(calls) == 2
    trials, epochs = found(short, tmp_path)
    again = [trial for trial in trials if trial.pop("restarted", None)]
    assert (trials, epochs) == expected
    assert len(again) == 3, "the three best went on from their last state"
    row = row_of(tmp_path)
    assert row.facts.test_looks == (row.winner_number,)


def test_a_trial_that_had_finished_stays_finished_when_a_budget_ends_it(tmp_path: Path) -> None:
    """Three get 4 more epochs before the budget is spent, three get none."""
    short = steady(4, "\nepochs = 36")
    submit(short, tmp_path)
    serve(tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        assert extend(store, short, 9) == list(range(6))
        serve(tmp_path)
        with pytest.raises(StudyStateError, match=r"Raise search\.epochs"):
            extend(store, short, 12)
    row, trials = row_of(tmp_path), trials_of(short, tmp_path)
    assert row.epochs_spent == 36
    assert {trial["state"] for trial in trials} == {"COMPLETE"}
    assert sorted(trial["epochs"] for trial in trials) == [4, 4, 4, 8, 8, 8]
    for trial in trials:
        assert trial["epochs"] == len(trial["reports"])
        assert trial["values"] == [min(trial["reports"].values())]
        assert trial["ended"] == f"the study's budget of 36 epochs was spent at epoch {trial['epochs']}"
    assert row.winner_number == min(trials, key=lambda trial: trial["values"])["number"]
    assert row.test is not None


def test_more_epochs_while_it_runs(tmp_path: Path) -> None:
    spec = small_study(training="epochs = 30", search='trials = 9\nconcurrency = 3\npruner = "none"')
    submit(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 100)
        assert extend(store, spec, 40)
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert [trial["epochs"] for trial in trials_of(spec, tmp_path)] == [40] * 9
    assert row_of(tmp_path).epochs_spent == len(epochs_of(spec, tmp_path)) == 9 * 40


def test_more_trials_while_it_runs_and_after_it(tmp_path: Path) -> None:
    spec = small_study(**LONG)
    submit(with_trials(spec, 4), tmp_path)
    serve(tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        control.extend_trials(store, control.submitted(store, "small"), 8)
        wait_for(lambda: len(trials_of(spec, tmp_path)) > 5)
        control.extend_trials(store, control.submitted(store, "small"), 12)
        wait_for(lambda: row_of(tmp_path).finished_at is not None and len(trials_of(spec, tmp_path)) > 8)
    assert [trial["number"] for trial in trials_of(spec, tmp_path)] == list(range(12))


def test_a_run_and_workers_keep_out_of_each_others_way(spec: StudySpec, expected: Any, tmp_path: Path) -> None:
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


def test_a_worker_that_was_suspended_while_a_run_took_its_study_writes_nothing(
    spec: StudySpec, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is stopped in an epoch, for longer than its lease, while people stop the study and run it."""
    submit(spec, tmp_path)
    asleep, awake, tick = threading.Event(), threading.Event(), Trainer.tick

    def sleeping(trainer: Trainer) -> Any:
        if threading.current_thread() is not threading.main_thread() and row_of(tmp_path).epochs_spent >= 10:
            asleep.set()
            assert awake.wait(60.0)
        return tick(trainer)

    monkeypatch.setattr(Trainer, "tick", sleeping)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path) as worker:
        assert asleep.wait(60.0)
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


def run_as_the_command_does(spec: StudySpec, home: Path) -> None:
    run_study(spec, sqlite_url(home), home, lambda progress: None, device="cpu")


def test_a_worker_whose_row_was_deleted_registers_again(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path, lease_seconds=0.3) as worker:
        wait_for(lambda: [each.name for each in leases.workers(store)] == [worker.name])
        store.write(hpo_workers.delete())
        wait_for(lambda: [each.name for each in leases.workers(store)] == [worker.name])


def test_budgets_hold_over_workers(tmp_path: Path) -> None:
    search = 'trials = 30\nconcurrency = 4\npruner = "none"\nepochs = 50'
    spec = small_study(training="epochs = 10", search=search)
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 10)
    serve(tmp_path)
    row, trials = row_of(tmp_path), trials_of(spec, tmp_path)
    assert 50 <= row.epochs_spent < 50 + 4, "more than the trials in flight had begun"
    assert row.epochs_spent == len(epochs_of(spec, tmp_path))
    cut = [trial for trial in trials if trial["ended"].startswith("the study's budget of 50 epochs was spent")]
    assert cut
    assert {trial["state"] for trial in cut} == {"PRUNED"}
    assert all(trial["state"] in ("PRUNED", "COMPLETE") for trial in trials)
    # The same with `hpo run`.
    assert result_of(spec, tmp_path / "run") == (trials, epochs_of(spec, tmp_path))
    shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize("budget", ["wall_seconds = 0.001", "cpu_seconds = 0.001"])
def test_a_budget_of_time_ends_everything_after_the_epoch_in_hand(budget: str, tmp_path: Path) -> None:
    spec = small_study(training=TABLES["training"], search=f"trials = 9\nconcurrency = 3\n{budget}")
    trials, epochs = result_of(spec, tmp_path)
    assert [trial["epochs"] for trial in trials] == [1, 1, 1]
    assert len(epochs) == 3
    assert all(trial["ended"].startswith("the study's budget of 0.001") for trial in trials)
    assert run(spec, tmp_path).epochs == 0


@pytest.fixture(autouse=True)
def warnings_are_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="hpo")
