"""Several processes on one study: the results depend neither on their number nor on which of them is killed."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from hpo.execution.child_process import ChildProcess
from hpo.execution.engines import open_executor
from hpo.execution.messages import Load, Train
from hpo.execution.prestart import PrestartedProcess, ProcessPool
from hpo.execution.resources import Resources
from hpo.execution.supervised import Died
from hpo.registry import studies
from hpo.runtime import coordinator
from hpo.runtime.ownership import SoleOwnership
from hpo.runtime.progress import Progress
from hpo.runtime.session import Session
from hpo.studyfile.file import parse_study
from tests.models.own import write
from tests.runtime.small import TABLES, epochs_of, in_session, result_of, small_study, train, trials_of
from tests.studyfile.texts import study_text

Result = tuple[list[dict[str, Any]], list[tuple[Any, ...]]]

FOLDS = {"data": 'dataset = "wine"\nfolds = 2', "search": 'trials = 8\nconcurrency = 5\npruner = "hyperband"'}
"""Replicas, two architectures, three norms and a pruner: cases where a lane could depend on its neighbours."""


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "hpo: worker" in " ".join(child.cmdline())]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The result of the study of folds, trained by one process."""
    result = result_of(small_study(**FOLDS), tmp_path_factory.mktemp("whole"))
    assert {trial["state"] for trial in result[0]} == {"COMPLETE", "PRUNED"}
    return result


@pytest.mark.parametrize("workers", [2, 4])
def test_the_number_of_workers_changes_nothing(workers: int, whole: Result, tmp_path: Path) -> None:
    seen: list[Progress] = []
    assert (
        result_of(small_study(**FOLDS), tmp_path, resources=Resources(workers=workers), observer=seen.append) == whole
    )
    assert {(progress.workers, progress.deaths) for progress in seen} == {(workers, 0)}
    assert children() == []


def test_killed_workers_are_replaced(whole: Result, tmp_path: Path) -> None:
    seen: list[Progress] = []

    def kill_one(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) in (3, 5):
            assert len(children()) == 2
            os.kill(children()[len(seen) % 2].pid, signal.SIGKILL)

    assert result_of(small_study(**FOLDS), tmp_path, resources=Resources(workers=2), observer=kill_one) == whole
    assert seen[-1].deaths == 2
    assert children() == []


def test_models_of_the_users_own_need_no_file_where_they_train(tmp_path: Path) -> None:
    """Workers on other machines do not have the file."""
    tables = {name: text for name, text in TABLES.items() if name not in ("norm", "dropout")}
    tables["model"] = 'family = "custom"\nmodule = "net.py:Net"\narguments.width = { choice = [4, 8] }'
    spec = parse_study(study_text(**tables), str(tmp_path / "small.toml"))
    file = write(tmp_path)
    expected = result_of(spec, tmp_path / "alone")

    def action(session: Session) -> None:
        file.unlink()
        train(session, Resources(workers=2))

    in_session(spec, tmp_path / "two", action)
    assert (trials_of(spec, tmp_path / "two"), epochs_of(spec, tmp_path / "two")) == expected
    assert {trial["state"] for trial in expected[0]} <= {"COMPLETE", "PRUNED"}


def test_processor_time_of_other_processes_counts(tmp_path: Path) -> None:
    """It includes loading and saving, as in one process."""

    def action(session: Session) -> None:
        own = time.process_time()
        with open_executor(session.job, Resources(workers=2)) as executor:
            coordinator.run(session, executor, lambda progress: None, SoleOwnership(session))
        own = time.process_time() - own
        counted = studies.study_row(session.store, "small").cpu_seconds
        assert 0.8 * executor.cpu_seconds > executor.train_seconds / 2 > 0
        assert 0.5 * (own + executor.cpu_seconds) < counted < own + executor.cpu_seconds

    in_session(small_study(**FOLDS), tmp_path, action)


def test_an_error_of_a_child_process_is_raised_by_receive(tmp_path: Path) -> None:
    def action(session: Session) -> None:
        child = ChildProcess(PrestartedProcess(), session.job, threads=1, title="hpo: worker of a test")
        try:
            child.send(Load(lanes=b"no lanes", configs={}))
            with pytest.raises(Exception, match="Weights only load failed") as caught:
                child.receive()
            assert "in _load" in "".join(caught.value.__notes__)
            child.send(Train(behind=False))
            assert child.receive().failures == (), "the process goes on"
            os.kill(child._process.process.pid, signal.SIGKILL)
            with pytest.raises(Died, match="signal 9, Killed"):
                child.receive()
        finally:
            child.close()

    in_session(small_study(), tmp_path, action)


def test_prestarted_processes_are_used_first_and_the_rest_are_ended() -> None:
    def pids() -> set[int]:
        return {child.pid for child in psutil.Process().children()}

    before = pids()  # what earlier tests left running, e.g. the server of forked processes
    with ProcessPool(2) as pool:
        waiting = pids() - before
        assert len(waiting) == 2
        first = pool.take()
        assert first.process.pid in waiting
        assert first.process.poll() is None
    assert pids() - before == {first.process.pid}
    assert first.end() == -signal.SIGKILL
    another = ProcessPool().take()
    assert another.process.poll() is None
    another.end()
