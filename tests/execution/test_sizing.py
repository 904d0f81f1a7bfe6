"""The number of workers where none is given, and the cores that they may use."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.execution import engines, sizing
from hpo.execution.resources import Resources
from hpo.runtime.session import Session
from tests.runtime.small import in_session, run, small_study

LONG = {"training": "epochs = 10000", "search": "trials = 1000\nconcurrency = 12"}


def found(home: Path, places: int, **tables: str) -> int:
    def count(session: Session) -> int:
        return sizing.worthwhile_workers(session.spec, session.job.examples, session.left, places)

    workers: int = in_session(small_study(**tables), home, count)
    return workers


def test_one_process_trains_a_short_study(tmp_path: Path) -> None:
    assert found(tmp_path, 64) == 1


def test_a_long_study_has_as_many_workers_as_its_lanes_keep_busy(tmp_path: Path) -> None:
    assert found(tmp_path / "few", 2, **LONG) == 2
    assert found(tmp_path / "many", 64, **LONG) == 12 // sizing.LANES_EACH
    folds = {"data": 'dataset = "wine"\nfolds = 10'}
    assert found(tmp_path / "folds", 64, **LONG, **folds) == 12, "the folds of a trial stay together"


def test_the_share_that_is_left_to_train(tmp_path: Path) -> None:
    assert in_session(small_study(), tmp_path, lambda session: session.left) == 1.0
    run(small_study(), tmp_path)
    assert in_session(small_study(), tmp_path, lambda session: session.left) == 0.0


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "400000", "cpu/cpu.cfs_period_us": "100000"}, 4.0),
    ],
)
def test_the_cpu_quota_of_a_container(files: dict[str, str], cores: float | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text + "\n")
    assert sizing._quota(tmp_path) == cores


def test_usable_cores_are_no_more_than_the_quota(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(8)), raising=False)
    for quota, expected in ((None, 8), (0.5, 1), (2.5, 3), (64.0, 8)):
        monkeypatch.setattr(sizing, "_quota", lambda root, quota=quota: quota)
        assert sizing.usable_cores() == expected


def test_there_are_as_many_workers_as_asked_for(tmp_path: Path) -> None:
    def workers(session: Session) -> int:
        with engines.open_executor(session.job, Resources(workers=asked)) as executor:
            return executor.workers

    asked: int | None = None
    assert in_session(small_study(), tmp_path, workers) == 1
    asked = 2
    assert in_session(small_study(), tmp_path, workers) == 2


def test_there_are_no_more_workers_than_trials_in_flight(tmp_path: Path) -> None:
    def workers(session: Session) -> int:
        with engines.open_executor(session.job, Resources(workers=5)) as executor:
            return executor.workers

    spec = small_study(search="trials = 8\nconcurrency = 2")
    assert in_session(spec, tmp_path, workers) == 2
