"""A study of the user's own training function through the command: killed, interrupted, continued, looked at."""

from __future__ import annotations

import csv
import json
import os
import signal
import time
from pathlib import Path

import pytest

from tests.cli.runs import LIMIT, Project
from tests.runtime.functions import study

pytestmark = pytest.mark.slow

TRIAL = (
    'function = "train.py:train"\narguments = { mode = "fine", sleep = 1.5, x = { low = 0.0, high = 1.0 } }\n'
    "resources = { cpus = 0.25 }"
)


def prepared(project: Project) -> Path:
    study(project.folder, trial=TRIAL, search='trials = 4\nsampler = "random"\npruner = "none"\nconcurrency = 4')
    return project.folder / "runs"


def stopped(project: Project, number: signal.Signals) -> tuple[int, str]:
    """Runs the study, and sends the command a signal when every trial has saved twice, and so for certain once."""
    process = project.start("run", "own.toml")
    checkpoints, deadline = project.folder / "runs" / "checkpoints" / "own", time.monotonic() + LIMIT
    while len({file.name[:12] for file in checkpoints.glob("state-*.pt") if int(file.name[13:19]) > 1}) < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    _, err = process.communicate(timeout=LIMIT)
    return process.returncode, err


def begun(home: Path) -> list[list[int]]:
    """Ids of the processes that each trial has had."""
    files = sorted((home / "trials" / "own").glob("*/begun"))
    return [list(map(int, file.read_text().split())) for file in files]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_continued(project: Project, number: signal.Signals) -> None:
    home = prepared(project)
    code, err = stopped(project, number)
    assert code == (-number if number == signal.SIGKILL else 130)
    assert ("hpo run own.toml" in err) == (number == signal.SIGINT)
    deadline = time.monotonic() + LIMIT
    while any(alive(pid) for pids in begun(home) for pid in pids):
        assert time.monotonic() < deadline, "the processes of trials end with the command"
        time.sleep(0.05)

    done = project.hpo("run", "own.toml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Study own continues after")
    assert all(len(pids) == 2 for pids in begun(home))
    with (home / "reports" / "own" / "epochs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    by_trial = {str(n): [row for row in rows if row["number"] == str(n)] for n in range(4)}
    for mine in by_trial.values():
        assert [row["epoch"] for row in mine] == ["1", "2", "3", "4", "5"]
        counts = [float(row["begun"]) for row in mine]
        assert counts == sorted(counts)
        assert set(counts) == {1.0, 2.0}, "the second process continues from what the first one saved"
    assert {file.name[:6] for file in (home / "checkpoints" / "own").glob("*.pt")} == {"final-"}

    shown = json.loads(project.hpo("show", "own", "--json").stdout)
    assert shown["objective"] == "score"
    assert "validation" not in project.hpo("show", "own").stdout
    page = (home / "reports" / "own" / "index.html").read_text()
    assert "Test score" not in page
    assert "Split balance" not in page
    assert project.hpo("compare", "own", "own").returncode == 0
