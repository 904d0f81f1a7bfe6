"""`hpo run` with several processes: signals, what is left behind, and what others can see of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import psutil
import pytest
from sqlalchemy import make_url

from hpo.cli import hpo
from hpo.execution import prestart
from tests.cli.runs import LIMIT, Project

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The small study by one process, without a stop; tests only read it."""
    made = Project(folder=tmp_path_factory.mktemp("whole"))
    made.write()
    made.run("--workers", 1)
    return made


def started(project: Project, *arguments: object, **options: Any) -> tuple[psutil.Process, list[psutil.Process]]:
    """A run that has trained some epochs, and its workers."""
    process = project.start("run", "small.toml", *arguments, **options)
    deadline = time.monotonic() + LIMIT
    while project.ticks() < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return process, psutil.Process(process.pid).children(recursive=True)


def gone(processes: list[psutil.Process]) -> bool:
    _, alive = psutil.wait_procs(processes, timeout=LIMIT)
    return not alive


def test_ctrl_c_reaches_the_whole_group_and_another_number_continues(project: Project, whole: Project) -> None:
    process, workers = started(project, "--workers", 2, start_new_session=True)
    assert len(workers) == 2
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert err.strip().splitlines()[-1].strip() == "hpo run small.toml --workers 2"
    assert "Traceback" not in err
    assert gone(workers)
    assert project.run("--workers", 1).startswith("Study small continues after")
    assert project.table() == whole.table()
    assert project.epochs() == whole.epochs()


def test_workers_begin_with_what_they_are_to_inherit(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else each would keep compiled steps in a place of its own."""
    begun: list[str | None] = []

    def begin(count: int) -> None:
        begun.extend([os.environ.get("TORCHINDUCTOR_CACHE_DIR")] * count)
        raise SystemExit(0)

    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "")  # so that it is put back in any case
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR")
    monkeypatch.setattr(prestart, "ProcessPool", begin)
    with pytest.raises(SystemExit):
        hpo.main(["run", str(project.folder / "small.toml"), "--workers", "2", "--home", str(project.folder / "runs")])
    assert begun == [str(project.folder / "runs" / "cache" / "compiled")] * 2


def test_no_more_workers_begin_than_trials_are_in_flight(
    project: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    begun: list[int] = []

    def begin(count: int) -> None:
        begun.append(count)
        raise SystemExit(0)

    project.write(search="trials = 8\nconcurrency = 3")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(project.folder))
    monkeypatch.setattr(prestart, "ProcessPool", begin)
    with pytest.raises(SystemExit):
        hpo.main(["run", str(project.folder / "small.toml"), "--workers", "99"])
    assert begun == [3]
    assert "--workers 99: 3 workers will train" in capsys.readouterr().err


def test_a_killed_coordinator_leaves_no_workers(project: Project, whole: Project) -> None:
    process, workers = started(project, "--workers", 2)
    process.kill()
    process.communicate(timeout=LIMIT)
    assert gone(workers)
    assert project.run("--workers", 3).startswith("Study small continues after")
    assert project.table() == whole.table()
    assert project.epochs() == whole.epochs()


SECRET = "correct-horse"


def test_a_password_is_seen_nowhere(project: Project, new_database: Callable[[], str]) -> None:
    url = make_url(new_database()).set(password=SECRET).render_as_string(hide_password=False)
    assert SECRET in url
    process, workers = started(project, "--workers", 2, "--storage", url, fresh=True)
    titles = [" ".join(one.cmdline()) for one in (psutil.Process(process.pid), *workers)]
    os.kill(workers[0].pid, signal.SIGKILL)  # what is said about that, too
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, err
    assert "a worker died" in err
    assert len(titles) == 3
    assert [SECRET in text for text in (*titles, out, err)] == [False] * 5
    assert titles[0].strip().endswith("run small.toml --workers 2 --storage ...")
    assert not any(SECRET.encode() in file.read_bytes() for file in project.folder.rglob("*") if file.is_file())


def test_a_wrong_address_is_answered_without_the_password(project: Project) -> None:
    done = project.hpo("run", "small.toml", "--storage", f"postgresql://me:{SECRET}@127.0.0.1:1/hpo")
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr
