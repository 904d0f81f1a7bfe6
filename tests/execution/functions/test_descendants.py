"""What the functions start ends with their processes, also in a session of its own, as that of torchrun's workers."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import hpo
from tests.runtime.functions import study
from tests.service.working import wait_for

STARTS = """
import os
import signal
import subprocess
import time


def train(trial):
    started = subprocess.Popen(["sleep", "1000"], start_new_session=True)
    with open(trial.folder / "started", "a") as file:
        file.write(f"{started.pid}\\n")
    trial.report(1, {"score": 1.0})
    if trial.params["mode"] == "hangs":
        time.sleep(1000)
    if trial.params["mode"] == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_they_end_with_it(tmp_path: Path) -> None:
    path = study(
        tmp_path,
        trial='function = "train.py:train"\narguments = { mode = { choice = ["hangs", "dies", "returns"] } }\n'
        "resources = { cpus = 0.2 }\nseconds = 4.0",
        search='trials = 3\nsampler = "grid"\npruner = "none"\nconcurrency = 3',
    )
    (tmp_path / "train.py").write_text(STARTS)
    found = hpo.run(path, home=tmp_path / "home", workers=3).trials
    assert sorted(found["state"]) == ["COMPLETE", "FAIL", "FAIL"], found["ended"].tolist()
    files = (tmp_path / "home" / "trials" / "own").glob("*/started")
    started = [int(line) for file in files for line in file.read_text().splitlines()]
    assert len(started) == 1 + 3 + 1, "one that dies is started three times"
    wait_for(lambda: not any(map(alive, started)))
