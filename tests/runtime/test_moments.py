"""Changes by people, other programs and the checkpoint store at critical moments."""

from __future__ import annotations

import shutil
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from hpo.checkpoints.manager import CheckpointManager
from hpo.checkpoints.store import Directory
from hpo.endings import Ended, Ending, Spent
from hpo.errors import MachineError, TakenError
from hpo.execution.messages import Admit, Train
from hpo.execution.resources import Resources
from hpo.execution.shard import Shard
from hpo.registry import leases
from hpo.runtime import local_run, winner
from hpo.runtime.local_run import run_study
from hpo.runtime.session import Session
from hpo.runtime.winner import Winner, find
from hpo.search.searcher import Searcher
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.rows import CheckpointRow
from hpo.studyfile.study import StudySpec
from hpo.training.trainer import Tick, Trainer
from tests.runtime.small import epochs_of, in_session, result_of, small_study, train, trials_of
from tests.service.working import row_of, serve, submit, wait_for, working
from tests.storage.writers import end

SPENT = Spent(setting="epochs", limit=1)
STEADY = {"training": "epochs = 12", "search": 'trials = 6\nconcurrency = 3\npruner = "none"'}


@pytest.fixture
def spec() -> StudySpec:
    return small_study(**STEADY)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    return result_of(small_study(**STEADY), tmp_path_factory.mktemp("expected"))


def test_a_run_that_has_lost_its_study_writes_no_winner(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*arguments: Any, **options: Any) -> Winner | None:
        found = find(*arguments, **options)
        with closing(open_store(sqlite_url(tmp_path))) as store:
            for worker in leases.workers(store):
                leases.unregister_worker(store, worker.name)
        return found

    monkeypatch.setattr(local_run, "find", slow)
    with pytest.raises(TakenError, match="taken the study"):
        run_study(spec, sqlite_url(tmp_path), tmp_path, lambda progress: None)
    row = row_of(tmp_path)
    assert (row.winner_number, row.test, row.finished_at) == (None, None, None)
    assert not row.facts.test_looks


def test_a_budget_that_is_raised_while_trials_are_cut_cuts_none(
    expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, raised = Searcher.cut, []

    def raising(searcher: Searcher, *arguments: Any) -> Any:
        if not raised:
            raised.append(True)
            submit(with_epochs_budget(1000), tmp_path)
        return cut(searcher, *arguments)

    def with_epochs_budget(epochs: int) -> StudySpec:
        return small_study(**STEADY | {"search": f"{STEADY['search']}\nepochs = {epochs}"})

    monkeypatch.setattr(Searcher, "cut", raising)
    submit(with_epochs_budget(20), tmp_path)
    serve(tmp_path)
    assert raised
    assert (trials_of(with_epochs_budget(1000), tmp_path), epochs_of(with_epochs_budget(1000), tmp_path)) == expected


def test_workers_that_cut_trials_at_the_same_time_keep_each_others_last_states(spec: StudySpec, tmp_path: Path) -> None:
    """The other one ends its trial after this one's tick has looked, and before it looks which files are outdated."""

    def action(session: Session) -> None:
        store, checkpoint_store = session.store, Directory(tmp_path)
        own, others = session.searcher.ask(2)
        with store.transaction(), closing(open_store(sqlite_url(tmp_path))) as other:
            assert session.searcher.cut(own.trial_id, SPENT).ended
            end(other, others.trial_id, TrialState.PRUNED, Ended(why=Ending.BUDGET, detail=SPENT, epoch=1))
            other.add_checkpoints(
                CheckpointRow(trial_id=others.trial_id, kind=kind, epoch=1, path=f"{kind}.pt", sha256="")
                for kind in ("best", "final")
            )
            manager = CheckpointManager(session.checkpoints, checkpoint_store, "worker")
            manager.save_best([own.number], [])
            manager.save_ends([own.number], [])
        assert [row.path for row in store.checkpoints(session.study_id)] == ["best.pt", "final.pt"]

    in_session(spec, tmp_path, action)


def test_trials_that_are_only_cut_are_not_called_trained_again(tmp_path: Path) -> None:
    spec = small_study(**STEADY | {"search": f"{STEADY['search']}\nepochs = 300"})
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 6)
    shutil.rmtree(tmp_path / "checkpoints" / "small")
    submit(small_study(**STEADY | {"search": f"{STEADY['search']}\nepochs = 1"}), tmp_path)
    serve(tmp_path)
    trials = trials_of(spec, tmp_path)
    assert all("budget of 1 epoch" in trial["ended"] for trial in trials)
    assert not any("restarted" in trial for trial in trials)


def test_a_checkpoint_that_could_not_be_read_for_a_moment_is_kept_until_the_trial_is_there(
    spec: StudySpec, expected: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second worker goes on from older ones or from the start, and has to end before it is there; the third
    finds the newest again."""
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 12)
    newest = saved(tmp_path)
    assert newest

    folder, away = tmp_path / "checkpoints" / "small", tmp_path / "away"
    away.mkdir()
    for file in list(folder.glob("running-*")):
        file.rename(away / file.name)
    tick, ticks, halfway = Trainer.tick, [], threading.Event()

    def one(trainer: Trainer) -> Tick:
        ticks.append(1)
        if len(ticks) == 3:
            halfway.set()
            wait_for(lambda: worker.ending.is_set())
        return tick(trainer)

    monkeypatch.setattr(Trainer, "tick", one)
    with working(tmp_path) as worker:
        wait_for(halfway.is_set)
    assert {trial: max(epochs) for trial, epochs in saved(tmp_path).items()} == {
        trial: max(epochs) for trial, epochs in newest.items()
    }
    assert any(min(saved(tmp_path)[trial]) < min(newest[trial]) for trial in newest), "it saved nothing of its own"
    for file in away.iterdir():
        file.rename(folder / file.name)
    serve(tmp_path)
    trials, epochs = trials_of(spec, tmp_path), epochs_of(spec, tmp_path)
    assert [trial.pop("restarted", None) for trial in trials].count(None) == 3
    assert (trials, epochs) == expected
    assert not list(folder.glob("running-*")), "what was kept is gone in the end"


def saved(home: Path) -> dict[int, list[int]]:
    """Epochs of the checkpoints of each running trial."""
    found: dict[int, list[int]] = {}
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        for row in store.checkpoints(row_of(home).study_id):
            if row.kind == "running":
                found.setdefault(row.trial_id, []).append(row.epoch)
    return found


def test_a_study_is_concluded_though_its_checkpoints_cannot_be_listed(spec: StudySpec, tmp_path: Path) -> None:
    class Blind(Directory):
        def names(self, prefix: str) -> list[str]:
            raise MachineError("The checkpoint_store cannot be listed.")

    submit(spec, tmp_path)
    serve(tmp_path, checkpoint_store=Blind(tmp_path))
    assert row_of(tmp_path).winner_number is not None


def test_a_worker_that_is_to_end_does_not_train_a_winner_again(
    spec: StudySpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(Directory):
        def put(self, name: str, data: bytes) -> None:
            raise MachineError("No space left on device.")

    submit(spec, tmp_path)
    with working(tmp_path, checkpoint_store=Full(tmp_path)) as worker:
        retrain, tick, ticks = winner.retrain, Trainer.tick, []

        def one(trainer: Trainer) -> Tick:
            ticks.append(1)
            worker.ending.set()
            return tick(trainer)

        def ending(*arguments: Any) -> bytes:
            monkeypatch.setattr(Trainer, "tick", one)
            return retrain(*arguments)

        monkeypatch.setattr(winner, "retrain", ending)
        wait_for(lambda: worker.ending.is_set())
    assert len(ticks) == 1
    assert row_of(tmp_path).finished_at is None
    monkeypatch.undo()
    serve(tmp_path)
    assert row_of(tmp_path).winner_number is not None


def test_an_epoch_of_those_that_are_behind_is_none_of_the_others(spec: StudySpec, tmp_path: Path) -> None:
    """Also where there are none any more, because the last of them has failed."""

    def action(session: Session) -> None:
        shard = Shard(session.job)
        (trial, *_) = session.searcher.ask(1)
        assert trial.config is not None
        shard.do(Admit(trials={trial.number: trial.config}))
        for behind, epoch in ((True, 0), (False, 1)):
            shard.do(Train(behind=behind))
            assert shard.trainer.epoch(trial.number) == epoch

    in_session(spec, tmp_path, action)


def test_files_of_best_trials_are_forgotten_only_as_such(spec: StudySpec, tmp_path: Path) -> None:
    """An extension may turn a last state into that of a running trial between the look and the change."""

    def action(session: Session) -> None:
        train(session, Resources())
        store, rows = session.store, session.store.checkpoints(session.study_id)
        best = next(row.path for row in rows if row.kind == "best")
        store.remove_checkpoints([best], spared="best")
        assert store.checkpoints(session.study_id) == rows
        store.remove_checkpoints([best], spared="running")
        assert best not in {row.path for row in store.checkpoints(session.study_id)}

    in_session(spec, tmp_path, action)
