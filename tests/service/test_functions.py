"""Workers train the trials of a function of the user's own, and share them exactly."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from hpo.registry import leases
from hpo.storage.store import Store
from hpo.studyfile.file import read_study_file
from tests.runtime.functions import study
from tests.service.working import found, row_of, submit, wait_for, working

TRIAL = (
    'function = "train.py:train"\nresources = { cpus = 0.25 }\n'
    'arguments = { mode = { choice = ["fine", "dies_once"] }, sleep = 0.1, x = { low = 0.0, high = 1.0 } }'
)
STUDY = 'name = "small"\nobjective = "score"\ndirection = "maximize"'
SEARCH = 'trials = 6\nsampler = "random"\npruner = "none"\nconcurrency = 4'


def test_two_workers_share_a_study_of_a_function(tmp_path: Path) -> None:
    spec = read_study_file(study(tmp_path, study=STUDY, trial=TRIAL, search=SEARCH))
    submit(spec, tmp_path)
    with working(tmp_path), working(tmp_path):
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    trials, epochs = found(spec, tmp_path)
    assert [trial["number"] for trial in trials] == list(range(6))
    assert {trial["state"] for trial in trials} == {"COMPLETE"}
    assert len(epochs) == row_of(tmp_path).epochs_spent == 6 * 5
    assert row_of(tmp_path).winner_number is not None
    files = {path.name.partition("-")[0] for path in (tmp_path / "checkpoints" / "small").iterdir()}
    assert files == {"final"}, "what was saved of running trials is gone"


def test_a_worker_that_leaves_ends_its_functions_before_others_may_take_their_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = 'function = "train.py:train"\nresources = { cpus = 0.25 }\narguments = { mode = "hangs" }'
    spec = read_study_file(study(tmp_path, study=STUDY, trial=trial, search=SEARCH))
    submit(spec, tmp_path)
    release, running = leases.release, []

    def released(store: Store, worker: str, trial_ids: Collection[int]) -> None:
        pids = [int(line) for file in begun() for line in file.read_text().splitlines()]
        running.append((len(trial_ids), [pid for pid in pids if Path(f"/proc/{pid}").exists()]))
        release(store, worker, trial_ids)

    def begun() -> list[Path]:
        return sorted((tmp_path / "trials" / "small").glob("*/begun"))

    with working(tmp_path):
        wait_for(lambda: len(begun()) == 4)
        monkeypatch.setattr(leases, "release", released)
    assert running == [(4, [])]
