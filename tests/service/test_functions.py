"""Workers train the trials of a function of the user's own, and share them exactly."""

from __future__ import annotations

from pathlib import Path

from hpo.studyfile.file import read_study_file
from tests.runtime.functions import study
from tests.service.working import found, row_of, submit, wait_for, working

TRIAL = (
    'function = "train.py:train"\nresources = { cpus = 0.25 }\n'
    'arguments = { mode = { choice = ["fine", "dies_once"] }, sleep = 0.1, x = { low = 0.0, high = 1.0 } }'
)
SEARCH = 'trials = 6\nsampler = "random"\npruner = "none"\nconcurrency = 4'


def test_two_workers_share_a_study_of_a_function(tmp_path: Path) -> None:
    text = 'name = "small"\nobjective = "score"\ndirection = "maximize"'
    spec = read_study_file(study(tmp_path, study=text, trial=TRIAL, search=SEARCH))
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
