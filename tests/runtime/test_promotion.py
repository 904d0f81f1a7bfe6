"""Studies whose trials pause at rungs: no epoch is trained twice or otherwise, whatever interrupts the study."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from hpo.checkpoints.manager import CheckpointManager
from hpo.runtime.session import Session
from hpo.search.searcher import Searcher
from hpo.training.trainer import Trainer
from tests.runtime.small import epochs_of, in_session, result_of, run, small_study, trials_of
from tests.runtime.test_resume import Stopped, stopping
from tests.service.working import found, row_of, serve, submit, wait_for, working

TABLES = {"training": "epochs = 9", "search": 'trials = 13\nconcurrency = 4\npruner = "promotion"'}
Result = tuple[list[dict[str, Any]], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The study, never stopped."""
    return result_of(small_study(**TABLES), tmp_path_factory.mktemp("whole"))


def test_trials_end_at_rungs_and_one_of_three_goes_on(whole: Result) -> None:
    lengths = sorted(len(trial["reports"]) for trial in whole[0] if "diverged" not in trial["ended"])
    assert set(lengths) == {1, 3, 9}
    assert sum(length >= 3 for length in lengths) >= len(whole[0]) // 3
    for trial in whole[0]:
        finished = trial["state"] == "COMPLETE"
        assert finished == (len(trial["reports"]) == 9)
        assert finished or trial["ended"] == f"paused at a rung at epoch {len(trial['reports'])}"
    numbers: dict[int, set[int]] = defaultdict(set)
    for row in whole[1]:
        numbers[row[0]].add(row[2])
    assert sum(map(len, numbers.values())) == len(whole[1])


def test_a_trial_that_paused_goes_on_as_if_it_had_not(whole: Result, tmp_path: Path) -> None:
    """Its parameters are those of a study of that seed, and its curve that of a trial which is never stopped."""
    together = small_study(**TABLES | {"search": 'trials = 4\nconcurrency = 4\npruner = "none"'})
    unbroken = {trial["number"]: trial["reports"] for trial in result_of(together, tmp_path)[0]}
    for trial in whole[0][:4]:
        assert list(trial["reports"].items()) == list(unbroken[trial["number"]].items())[: len(trial["reports"])]


@pytest.mark.parametrize("lanes", [1, 3])
def test_lanes_change_nothing(lanes: int, whole: Result, tmp_path: Path) -> None:
    assert result_of(small_study(**TABLES), tmp_path, lanes=lanes) == whole


POINTS: dict[str, tuple[Any, str, bool]] = {
    "after a tick": (Trainer, "tick", True),
    "while paused trials go on, before the transaction ends": (Searcher, "ask", False),
    "after trials have been told to go on, before they do": (CheckpointManager, "adopt", False),
    "before the files of ended trials are written": (CheckpointManager, "save_ends", False),
    "after the transaction, before old files are deleted": (CheckpointManager, "sweep", False),
}


@pytest.mark.parametrize("point", POINTS)
def test_stopped_anywhere_it_ends_with_the_same_table(
    point: str, whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Early, later, and late."""
    where, name, after = POINTS[point]
    spec = small_study(**TABLES)
    for call in (2, 3, 4):
        with monkeypatch.context() as patch:
            patch.setattr(where, name, stopping(getattr(where, name), call, after=after))
            try:
                run(spec, tmp_path)
            except Stopped:
                pass
            else:
                assert point == "after trials have been told to go on, before they do"
    run(spec, tmp_path)
    assert (trials_of(spec, tmp_path), epochs_of(spec, tmp_path)) == whole


def test_without_their_last_states_they_are_trained_again_to_the_same_end(
    whole: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Searcher, "paused", lambda searcher: [])
    assert result_of(small_study(**TABLES), tmp_path) == whole


def test_a_small_study_has_a_winner(tmp_path: Path) -> None:
    spec = small_study(**TABLES | {"search": 'trials = 2\nconcurrency = 1\npruner = "promotion"'})
    assert [trial["state"] for trial in result_of(spec, tmp_path)[0]].count("COMPLETE") == 1


def test_one_worker_equals_a_run(whole: Result, tmp_path: Path) -> None:
    spec = small_study(**TABLES)
    submit(spec, tmp_path)
    serve(tmp_path)
    assert found(spec, tmp_path) == whole


def test_workers_share_what_they_paused(tmp_path: Path) -> None:
    """What one worker paused another one has go on; each trial is trained once, and as it would be alone."""
    spec = small_study(**TABLES | {"search": 'trials = 30\nconcurrency = 4\npruner = "promotion"'})
    submit(spec, tmp_path)
    with working(tmp_path), working(tmp_path):
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    trials, epochs = found(spec, tmp_path)
    assert len(trials) == 30
    assert {len(trial["reports"]) for trial in trials if "diverged" not in trial["ended"]} == {1, 3, 9}
    keys = [(row[0], row[1], row[2]) for row in epochs]
    assert len(set(keys)) == len(keys)

    assert in_session(spec, tmp_path, lambda session: session.searcher.promotable(last=True)) == []


def test_only_few_states_of_paused_trials_are_kept(tmp_path: Path) -> None:
    spec = small_study(**TABLES | {"search": 'trials = 40\nconcurrency = 2\npruner = "promotion"'})
    run(spec, tmp_path)

    def kept(session: Session) -> int:
        return sum(row.kind == "final" for row in session.store.checkpoints(session.study_id))

    assert in_session(spec, tmp_path, kept) <= spec.checkpoints.keep + 2 * 2
