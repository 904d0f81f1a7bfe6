"""Studies of the variants of promotion: the same table with any number of lanes, interrupted, or by a worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hpo.training.trainer import Trainer
from tests.runtime.small import epochs_of, result_of, run, small_study, trials_of
from tests.runtime.test_promotion import Result
from tests.runtime.test_resume import Stopped, stopping
from tests.service.working import found, serve, submit

PRUNERS = {
    "asha": '{ name = "asha", reduction_factor = 3 }',
    "pasha": '"pasha"',
    "constant": '{ name = "constant", min_epochs = 3, wave = 5, best = 2 }',
}


def tables(pruner: str) -> dict[str, str]:
    return {"training": "epochs = 9", "search": f"trials = 13\nconcurrency = 4\npruner = {PRUNERS[pruner]}"}


@pytest.fixture(scope="module", params=PRUNERS)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Result]:
    """A pruner, and a study with it that was never stopped."""
    pruner: str = request.param
    return pruner, result_of(small_study(**tables(pruner)), tmp_path_factory.mktemp(pruner))


def test_trials_pause_at_rungs_and_some_finish(whole: tuple[str, Result]) -> None:
    pruner, (trials, epochs) = whole
    lengths = [len(trial["reports"]) for trial in trials if "diverged" not in trial["ended"]]
    rungs = {3, 9} if pruner == "constant" else {1, 3, 9}
    assert set(lengths) <= rungs
    assert len({(row[0], row[1], row[2]) for row in epochs}) == len(epochs), "no epoch is trained twice"
    for trial in trials:
        finished = trial["state"] == "COMPLETE"
        assert finished or trial["ended"] == f"paused at a rung at epoch {len(trial['reports'])}"
    if pruner == "constant":
        assert lengths.count(9) == 6, "two of each five, and of the last three"
    else:
        assert lengths.count(9) >= 1


def test_lanes_change_nothing(whole: tuple[str, Result], tmp_path: Path) -> None:
    assert result_of(small_study(**tables(whole[0])), tmp_path, lanes=1) == whole[1]


def test_stopped_it_ends_with_the_same_table(
    whole: tuple[str, Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small_study(**tables(whole[0]))
    for call in (2, 4, 5):
        with monkeypatch.context() as patch:
            tick: Any = Trainer.tick
            patch.setattr(Trainer, "tick", stopping(tick, call, after=True))
            with pytest.raises(Stopped):
                run(spec, tmp_path)
    run(spec, tmp_path)
    assert (trials_of(spec, tmp_path), epochs_of(spec, tmp_path)) == whole[1]


def test_one_worker_equals_a_run(whole: tuple[str, Result], tmp_path: Path) -> None:
    spec = small_study(**tables(whole[0]))
    submit(spec, tmp_path)
    serve(tmp_path)
    assert found(spec, tmp_path) == whole[1]
