"""Trials that a spent budget cut go on when it is raised, as if it had been larger from the start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hpo.execution.resources import Resources
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.study import StudySpec, with_budget
from hpo.training.trainer import Tick, Trainer
from tests.runtime.small import epochs_of, result_of, run, small_study, trials_of
from tests.service.working import row_of, serve, submit

SEARCH = 'trials = 10\nconcurrency = 3\npruner = { name = "median", startup_trials = 2 }'


def budgeted(epochs: int, **tables: str) -> StudySpec:
    spec = small_study(**({"training": "epochs = 6", "search": SEARCH} | tables))
    return with_budget(spec, epochs=epochs)


def given_to_workers(spec: StudySpec, home: Path) -> None:
    submit(spec, home)
    serve(home)


def kinds_of(home: Path) -> list[str]:
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return [row.kind for row in store.checkpoints(row_of(home).study_id)]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """An entry for each epoch of a trial that is trained, again or not."""
    found: list[int] = []
    tick = Trainer.tick

    def counting(trainer: Trainer) -> Tick:
        result = tick(trainer)
        found.extend(lane.trial for lane in result.epochs)
        return result

    monkeypatch.setattr(Trainer, "tick", counting)
    return found


WAYS = {"run": run, "service": given_to_workers}


@pytest.mark.parametrize("way", WAYS)
def test_a_larger_budget_goes_on_as_if_it_had_been_so_from_the_start(
    way: str, trained: list[int], tmp_path: Path
) -> None:
    expected = result_of(budgeted(1000), tmp_path / "whole")
    trained.clear()
    go: Callable[[StudySpec, Path], object] = WAYS[way]
    for epochs in (2, 8, 13, 19):
        go(budgeted(epochs), tmp_path)
        cut = [trial for trial in trials_of(budgeted(epochs), tmp_path) if "budget" in trial["ended"]]
        assert cut, "choose budgets that cut trials"
    go(budgeted(1000), tmp_path)
    assert (trials_of(budgeted(1000), tmp_path), epochs_of(budgeted(1000), tmp_path)) == expected
    assert len(trained) == len(expected[1]), "something was trained again"
    assert sorted(kinds_of(tmp_path)) == ["best"] * 3 + ["final"] * 3


def test_workers_and_runs_take_turns_at_it(trained: list[int], tmp_path: Path) -> None:
    expected = result_of(budgeted(1000), tmp_path / "whole")
    trained.clear()
    for epochs, go in zip((2, 8, 13, 1000), [*WAYS.values()] * 2, strict=True):
        go(budgeted(epochs), tmp_path)
    assert (trials_of(budgeted(1000), tmp_path), epochs_of(budgeted(1000), tmp_path)) == expected
    assert len(trained) == len(expected[1])


def test_what_several_processes_trained_goes_on(tmp_path: Path) -> None:
    expected = result_of(budgeted(1000), tmp_path / "whole")
    for epochs in (8, 13):
        run(budgeted(epochs), tmp_path, resources=Resources(workers=2, lanes=32))
    run(budgeted(1000), tmp_path)
    assert (trials_of(budgeted(1000), tmp_path), epochs_of(budgeted(1000), tmp_path)) == expected


@pytest.mark.parametrize("way", WAYS)
def test_a_budget_that_is_still_spent_lets_nothing_go_on(way: str, trained: list[int], tmp_path: Path) -> None:
    """Also where it was raised, but not enough, and where it was lowered while trials wait to go on."""
    spec = budgeted(8)
    WAYS[way](spec, tmp_path)
    before, count = (trials_of(spec, tmp_path), epochs_of(spec, tmp_path)), len(trained)
    for epochs in (8, 9, 1):
        WAYS[way](budgeted(epochs), tmp_path)
        assert (trials_of(spec, tmp_path), epochs_of(spec, tmp_path)) == before
    assert row_of(tmp_path).epochs_spent == len(trained) == count


@pytest.mark.parametrize("way", WAYS)
def test_what_goes_on_may_be_cut_before_its_first_epoch(way: str, trained: list[int], tmp_path: Path) -> None:
    expected = result_of(budgeted(1000), tmp_path / "whole")
    trained.clear()
    WAYS[way](budgeted(8), tmp_path)
    submit(budgeted(1000), tmp_path)
    assert any(trial["state"] == "RUNNING" for trial in trials_of(budgeted(8), tmp_path))
    WAYS[way](budgeted(8), tmp_path)
    assert not any(trial["state"] == "RUNNING" for trial in trials_of(budgeted(8), tmp_path))
    assert "running" not in kinds_of(tmp_path)
    WAYS[way](budgeted(1000), tmp_path)
    assert (trials_of(budgeted(1000), tmp_path), epochs_of(budgeted(1000), tmp_path)) == expected
    assert len(trained) == len(expected[1])
