"""What trials of a training function occupy: memory that counts as theirs, places for them, threads, GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import hpo
from hpo.errors import StudyFileError
from hpo.execution.functions import capacity
from hpo.execution.functions.capacity import Capacity
from hpo.execution.functions.memory import memory_gib, memory_of
from hpo.studyfile.records import TrialResources
from tests.runtime.functions import study

MIB = 2**20
FORKS = """
import os, sys, time
inherited = os.urandom(1 << 20) * 200
trial = os.fork()
if trial == 0:
    own = os.urandom(1 << 20) * 100
    worker = os.fork()
    print(os.getppid(), os.getpid(), flush=True) if worker else None
time.sleep(600)
"""
"""A server of 200 MiB whose fork takes 100 MiB and shares them with a process that it starts, as loaders of data do."""


@contextmanager
def forks() -> Iterator[tuple[int, int]]:
    """Process ids of the server and of its fork."""
    process = subprocess.Popen([sys.executable, "-c", FORKS], stdout=subprocess.PIPE, process_group=0)
    assert process.stdout is not None
    try:
        server, trial = map(int, process.stdout.readline().split())
        yield server, trial
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_a_trial_is_not_charged_for_what_its_server_has_loaded() -> None:
    with forks() as (server, trial):
        assert 95 * MIB < memory_of(trial, server) < 150 * MIB
        assert memory_of(server) > 290 * MIB, "it has loaded 200 MiB, and started what took 100"


@pytest.mark.parametrize(
    ("files", "gib"),
    [
        ({"sys/fs/cgroup/memory.max": "1073741824"}, 1.0),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "536870912"}, 0.5),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/memory.max": "536870912"}, 0.5),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/memory.max": "max"}, None),
        ({"proc/self/cgroup": "4:cpu,memory:/a", "sys/fs/cgroup/memory/a/memory.limit_in_bytes": "536870912"}, 0.5),
        ({"sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_the_memory_limit_of_a_container(files: dict[str, str], gib: float | None, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"{text}\n")
    assert memory_gib(tmp_path) == (memory_gib(tmp_path / "nothing") if gib is None else gib)


def test_as_many_trials_are_placed_as_the_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "memory_gib", lambda: 8.0)
    places = Capacity.of(TrialResources(memory_gib=2.0), cores=16, workers=None, gpus=()).places
    assert places == 3, "one GiB in ten is left to others"
    with pytest.raises(StudyFileError, match=r"memory_gib = 9: this machine, or its container, has 8\.0"):
        Capacity.of(TrialResources(memory_gib=9.0), cores=16, workers=None, gpus=())


def test_gpus_are_shared_or_taken_whole() -> None:
    shared = Capacity.of(TrialResources(gpus=0.5), cores=16, workers=None, gpus=(0, 1))
    whole = Capacity.of(TrialResources(gpus=2.0), cores=16, workers=None, gpus=(0, 1, 2, 3))
    assert (shared.places, whole.places) == (4, 2)
    for key, expected in enumerate(((0,), (1,), (0,), (1,))):
        assert shared.gpus() == expected
        shared.take(key, expected)


THREADS = """
import sys

import numpy as np
from threadpoolctl import threadpool_info


def train(trial):
    np.ones((8, 8)) @ np.ones((8, 8))
    import torch

    counts = [library["num_threads"] for library in threadpool_info()]
    assert counts
    forked = sys.modules["__main__"].__spec__.name.endswith(".server")
    metrics = {"threads": torch.get_num_threads(), "least": min(counts), "most": max(counts)}
    trial.report(1, {"score": forked, **metrics})
"""


def test_trials_of_several_cores_are_forks_with_so_many_threads(tmp_path: Path) -> None:
    path = study(tmp_path, trial='function = "train.py:train"\nresources = { cpus = 2 }', search="trials = 1")
    (tmp_path / "train.py").write_text(THREADS)
    found = hpo.run(path, home=tmp_path / "home", workers=1)
    assert found.trials["state"].tolist() == ["COMPLETE"], found.trials["ended"].tolist()
    (row,) = found.epochs.to_dict("records")
    assert row["objective"] == 1.0, "the process is a fork of the one that loaded the code"
    assert (row["threads"], row["least"], row["most"]) == (2, 2, 2)
