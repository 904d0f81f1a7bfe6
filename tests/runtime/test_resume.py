"""A study that is stopped at any point and continued ends with the table of one that never stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hpo.checkpoints.manager import CheckpointManager
from hpo.database.tables import hpo_checkpoints
from hpo.execution.resources import Resources
from hpo.runtime.session import Session
from hpo.search.searcher import Searcher
from hpo.studyfile.study import StudySpec
from hpo.training import packing
from hpo.training.trainer import Tick, Trainer
from tests.runtime.small import epochs_of, in_session, result_of, run, small_study, train, trials_of, with_trials

Result = tuple[list[dict[str, Any]], list[tuple[Any, ...]]]


class Stopped(BaseException):
    """What ends the process in these tests; like a kill, nothing handles it."""


def stopping(function: Callable[..., Any], call: int, *, after: bool) -> Callable[..., Any]:
    """The function, except that the process ends before or after the given call (counted from 1)."""
    calls = 0

    def wrapped(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            raise Stopped
        result = function(*arguments, **options)
        if calls == call:
            raise Stopped
        return result

    return wrapped


POINTS: dict[str, tuple[Any, str, bool]] = {
    "after asking, before the transaction ends": (Searcher, "ask", True),
    "before an epoch": (Trainer, "tick", False),
    "after an epoch, before it is recorded": (Trainer, "tick", True),
    "after best weights are written, before the transaction ends": (CheckpointManager, "save_best", True),
    "before the running trials' file is written": (CheckpointManager, "save_running", False),
    "after the running trials' file is written, before the transaction ends": (CheckpointManager, "save_running", True),
    "after the transaction, before old files are deleted": (CheckpointManager, "sweep", False),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The small study, never stopped."""
    result = result_of(small_study(), tmp_path_factory.mktemp("whole"))
    assert {trial["state"] for trial in result[0]} == {"COMPLETE", "PRUNED"}
    return result


def stop(monkeypatch: pytest.MonkeyPatch, spec: StudySpec, home: Path, point: str, call: int) -> None:
    """Runs the study until it is stopped at a point."""
    place, name, after = POINTS[point]
    with monkeypatch.context() as patch:
        patch.setattr(place, name, stopping(getattr(place, name), call, after=after))
        with pytest.raises(Stopped):
            run(spec, home)


@pytest.mark.parametrize("call", [1, 2, 3, 6])
@pytest.mark.parametrize("point", POINTS)
def test_wherever_it_stops_the_result_is_the_same(
    point: str, call: int, whole: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # The study asks three times and has at least six epochs.
    stop(monkeypatch, small_study(), tmp_path, point, min(call, 3) if "asking" in point else call)
    assert result_of(small_study(), tmp_path) == whole


def test_stopping_again_and_again(whole: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for point in POINTS:
        stop(monkeypatch, small_study(), tmp_path, point, 1)
    assert result_of(small_study(), tmp_path) == whole


@pytest.mark.parametrize("sampler", ["gp", "cmaes", "qmc", "random", "grid"])
def test_every_sampler_continues_as_if_nothing_had_been(
    sampler: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    startup = ", startup_trials = 3" if sampler in ("gp", "cmaes") else ""
    tables = {
        "dropout": "p = { low = 0.0, high = 0.4, step = 0.2 }",
        "optimizer": 'name = "adam"\nlearning_rate = { low = 0.01, high = 0.05, step = 0.02 }',
        "training": "epochs = 3",
        "search": f'trials = 12\nconcurrency = 3\nsampler = {{ name = "{sampler}"{startup} }}',
    }
    spec = small_study(**tables)
    expected = result_of(spec, tmp_path / "whole")
    for number, call in enumerate((2, 5, 9)):
        home = tmp_path / str(number)
        stop(monkeypatch, spec, home, "after an epoch, before it is recorded", call)
        assert result_of(spec, home) == expected


def test_other_lanes_may_continue_it(whole: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stop(monkeypatch, small_study(), tmp_path, "before an epoch", 4)
    assert result_of(small_study(), tmp_path, lanes=1) == whole


def test_norms_on_every_nth_layer_continue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each value puts parameters elsewhere; rows of all trials have one order all the same."""
    spec = small_study(
        model='family = "mlp"\nhidden = [8, 8, 8]',
        norm='choice = [{ kind = "none" }, { kind = "batch", every = { low = 1, high = 3 } }, { kind = "layer" }]',
    )
    uninterrupted = result_of(spec, tmp_path / "whole")
    stop(monkeypatch, spec, tmp_path / "stopped", "before an epoch", 4)
    assert result_of(spec, tmp_path / "stopped") == uninterrupted


def test_folds_and_repeats_continue(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    spec = small_study(data='dataset = "wine"\nfolds = 3\nrepeats = 2')
    expected = result_of(spec, tmp_path / "whole", lanes=5)
    stop(monkeypatch, spec, tmp_path / "stopped", "before an epoch", 5)
    assert result_of(spec, tmp_path / "stopped") == expected


def running_files(home: Path) -> list[Path]:
    return sorted((home / "checkpoints" / "small").glob("running-*.pt"))


def cut(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize("damaged", ["the newest", "both", "both are gone"])
def test_damaged_checkpoints_cost_time_alone(
    damaged: str, whole: Result, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stop(monkeypatch, small_study(), tmp_path, "before an epoch", 4)
    files = running_files(tmp_path)
    assert len(files) == 2
    for file in files if "both" in damaged else files[-1:]:
        file.unlink() if "gone" in damaged else cut(file)
    assert result_of(small_study(), tmp_path) == whole


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[int, int]]]:
    """For each epoch that is trained: the trials, and the epoch that each begins with."""
    seen: list[list[tuple[int, int]]] = []
    original = Trainer.tick

    def tick(trainer: Trainer) -> Tick:
        lanes = [lane for cohort in trainer.all_cohorts() for lane in cohort.lanes]
        seen.append(sorted((lane.trial, lane.epoch) for lane in lanes))
        return original(trainer)

    monkeypatch.setattr(Trainer, "tick", tick)
    return seen


def test_the_checkpoint_is_used_where_it_is_whole(
    ticks: list[list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else the tests above would pass by training everything again."""
    stop(monkeypatch, small_study(), tmp_path, "before an epoch", 4)
    ticks.clear()
    stop(monkeypatch, small_study(), tmp_path, "after an epoch, before it is recorded", 1)
    assert ticks == [[(0, 3), (1, 3), (2, 3)]]
    cut(running_files(tmp_path)[-1])
    ticks.clear()
    stop(monkeypatch, small_study(), tmp_path, "after an epoch, before it is recorded", 2)
    assert ticks == [[(0, 2), (1, 2), (2, 2)], [(0, 3), (1, 3), (2, 3)]], "one epoch, from the file before the last"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_trained_again_is_saved_and_makes_the_others_wait(
    workers: int, whole: Result, ticks: list[list[tuple[int, int]]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So it may be stopped, too, and the table is the same."""
    stop(monkeypatch, small_study(), tmp_path, "before an epoch", 4)

    def forget(session: Session) -> None:
        (lost,) = (trial for trial in session.searcher.all_trials() if trial.number == 1)
        with session.store.writing() as connection:
            connection.execute(hpo_checkpoints.delete().where(hpo_checkpoints.c.trial_id == lost._trial_id))

    in_session(small_study(), tmp_path, forget)
    ticks.clear()
    stop(monkeypatch, small_study(), tmp_path, "before an epoch", 3)
    assert ticks == [[(1, 0)], [(1, 1)]]
    ticks.clear()
    assert result_of(small_study(), tmp_path, resources=Resources(workers=workers, lanes=32)) == whole
    if workers == 1:
        assert ticks[:2] == [[(1, 2)], [(0, 3), (1, 3), (2, 3)]]


def test_a_budget_that_is_spent_while_a_trial_is_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It ends with what it had reported; its best weights are not there yet, and are trained when they are needed."""
    spec = small_study(search='trials = 3\nconcurrency = 3\npruner = "none"\nepochs = 9')
    stop(monkeypatch, spec, tmp_path, "before the running trials' file is written", 3)
    for file in running_files(tmp_path):
        cut(file)
    assert (
        in_session(spec, tmp_path, lambda session: [len(t.intermediate_values) for t in session.searcher.all_trials()])
        == [2] * 3
    )
    longer = replace(spec, search=spec.search.model_copy(update={"epochs": 6}))
    trials, epochs = result_of(longer, tmp_path)
    assert [(trial["state"], trial["epochs"]) for trial in trials] == [("PRUNED", 2)] * 3
    assert len(epochs) == 6


def test_a_larger_budget_continues_an_ended_study(whole: Result, tmp_path: Path) -> None:
    spec = small_study()
    run(with_trials(spec, 5), tmp_path)
    first = trials_of(spec, tmp_path)
    run(spec, tmp_path)
    both = trials_of(spec, tmp_path)
    assert both[:5] == first
    assert [trial["number"] for trial in both] == list(range(8))
    assert all(trial["state"] in ("COMPLETE", "PRUNED") for trial in both)
    # The same two budgets give the same table again.
    run(with_trials(spec, 5), tmp_path / "again")
    assert result_of(spec, tmp_path / "again") == (both, epochs_of(spec, tmp_path))


def test_an_ended_study_is_left_as_it_is(whole: Result, tmp_path: Path) -> None:
    assert result_of(small_study(), tmp_path) == whole
    assert run(small_study(), tmp_path).epochs == 0
    assert (trials_of(small_study(), tmp_path), epochs_of(small_study(), tmp_path)) == whole


def test_a_running_trial_that_cannot_be_drawn_any_more_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """E.g. another program enqueued values that contradict each other."""
    spec = small_study()
    stop(monkeypatch, spec, tmp_path, "before an epoch", 2)

    def contradict(session: Any) -> None:
        left = session.searcher.running()
        assert [trial.number for trial in left] == [0, 1, 2]
        left[1] = replace(left[1], config=None, error="planted")
        monkeypatch.setattr(session.searcher, "running", lambda only: left)
        train(session, Resources())

    in_session(spec, tmp_path, contradict)
    trials = trials_of(spec, tmp_path)
    assert (trials[1]["state"], trials[1]["ended"]) == ("FAIL", "failed: planted")
    assert {trial["state"] for trial in trials[:1] + trials[2:]} <= {"COMPLETE", "PRUNED"}


def test_a_file_of_running_trials_holds_tensors_and_text_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stop(monkeypatch, small_study(), tmp_path, "before an epoch", 3)

    def rows(session: Any) -> None:
        for row in session.store.checkpoints(session.study_id):
            if row.kind == "running":
                content = packing.read(tmp_path / row.path, row.sha256)
                assert content is not None
                assert {"lanes", "layout", "state"} == set(content["cohorts"][0])

    in_session(small_study(), tmp_path, rows)
