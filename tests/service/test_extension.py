"""More epochs or trials for a submitted study, and budgets that are spent."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from hpo.errors import StudyStateError
from hpo.execution.messages import Reply, Trained
from hpo.registry import control
from hpo.runtime.session import Session
from hpo.runtime.winner import Winner, find
from hpo.service import attempt
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from hpo.studyfile.settings import fingerprint
from hpo.studyfile.study import StudySpec, trial_epochs, with_epochs
from tests.runtime.small import TABLES, epochs_of, result_of, run, small_study, trials_of, with_trials
from tests.service.working import (
    LONG,
    found,
    row_of,
    run_as_the_command_does,
    serve,
    shards,
    submit,
    wait_for,
    working,
)


def extend(store: Store, spec: StudySpec, epochs: int) -> list[int]:
    longer = fingerprint(with_epochs(spec, epochs))
    row = control.submitted(store, spec.study.name)
    before = row.trial_epochs or trial_epochs(spec)
    return control.extend_epochs(store, row, epochs, before=before, fingerprint=longer)


def steady(epochs: int, budget: str = "") -> StudySpec:
    """A study whose trials get better with each epoch."""
    return small_study(
        study='name = "small"\nseed = 3\nobjective = "loss"',
        training=f"epochs = {epochs}",
        search='trials = 6\nconcurrency = 3\nsampler = "random"\npruner = "none"' + budget,
    )


def test_more_epochs_end_as_if_there_had_been_as_many_from_the_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    short, long = (steady(epochs) for epochs in (4, 9))
    run_as_the_command_does(long, tmp_path / "long")
    expected, scored = found(long, tmp_path / "long"), row_of(tmp_path / "long")
    submit(short, tmp_path)
    serve(tmp_path)
    before = row_of(tmp_path)
    assert before.winner_number == scored.winner_number, "else the study shows nothing of its score"
    assert before.test != scored.test
    with closing(open_store(sqlite_url(tmp_path))) as store:
        assert extend(store, short, 9) == list(range(6))
    between = row_of(tmp_path)
    assert (between.winner_number, between.test) == (None, None)
    serve(tmp_path)
    trials, epochs = found(short, tmp_path)
    again = {trial["number"]: trial.pop("restarted") for trial in trials if "restarted" in trial}
    assert (trials, epochs) == expected
    assert len(again) == 3, "the three best went on from their last state"
    assert set(again.values()) == {"epoch 1 to 4 trained again: their last state was not kept"}
    lines = [line for line in caplog.messages if "trained again" in line]
    assert all("their last state was not kept" in line for line in lines)
    assert len(lines) <= 2, "a line each time that the worker takes some"
    after = row_of(tmp_path)
    assert (after.winner_number, after.test) == (scored.winner_number, scored.test)
    assert after.facts.test_looks == (after.winner_number,) * 2
    # Of each of the best, one file of weights and one of the last state, and the rows say what is in them.
    with closing(open_store(sqlite_url(tmp_path))) as store:
        rows = store.checkpoints(after.study_id)
    best_epoch = {trial["number"]: trial["best_epoch"] for trial in trials}
    numbers = sorted({row.trial_id - 1 for row in rows})
    assert sorted((row.kind, row.trial_id - 1, row.epoch) for row in rows) == [
        *(("best", number, best_epoch[number]) for number in numbers),
        *(("final", number, 9) for number in numbers),
    ]
    assert {row.sha256 for row in rows} == {
        hashlib.sha256(file.read_bytes()).hexdigest() for file in (tmp_path / "checkpoints" / "small").glob("*.pt")
    }
    # A run of the same file, whose trials are longer now, has nothing left to do.
    run(with_epochs(short, 9), tmp_path)
    assert found(short, tmp_path)[1] == expected[1]


@pytest.mark.parametrize("epochs", [5, 9])
def test_more_epochs_may_be_trained_by_a_run(epochs: int, tmp_path: Path) -> None:
    short, long = steady(4), steady(epochs)
    run_as_the_command_does(long, tmp_path / "long")
    submit(short, tmp_path)
    serve(tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        extend(store, short, epochs)
        control.stop(store, "small")
        run_as_the_command_does(short, tmp_path)
        rows = store.checkpoints(row_of(tmp_path).study_id)
    assert found(short, tmp_path) == found(long, tmp_path / "long")
    assert row_of(tmp_path).test == row_of(tmp_path / "long").test
    assert len({(row.trial_id, row.kind) for row in rows}) == len(rows)
    assert sorted(row.kind for row in rows) == ["best"] * 3 + ["final"] * 3


def test_more_epochs_while_trials_train_their_last(tmp_path: Path) -> None:
    short, long = (steady(epochs) for epochs in (4, 9))
    expected = result_of(long, tmp_path / "long")
    submit(short, tmp_path)
    given: list[list[int]] = []

    def give(reply: Reply) -> None:
        if not given and isinstance(reply, Trained) and any(lane.epoch == 4 for lane in reply.tick.epochs):
            with closing(open_store(sqlite_url(tmp_path))) as store:
                given.append(extend(store, short, 9))

    serve(tmp_path, open_channel=shards(after=give))
    assert given == [[]], "none had ended yet"
    assert found(short, tmp_path) == expected
    assert row_of(tmp_path).epochs_spent == 6 * 9


def test_more_epochs_while_the_winner_is_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trials continue from what was saved, and the score that has just been computed is dropped."""
    short, long = (steady(epochs) for epochs in (4, 9))
    expected = result_of(long, tmp_path / "long")
    submit(short, tmp_path)
    calls = []

    def find_late(session: Session, watch: Callable[[str], None], **options: Any) -> Winner | None:
        calls.append(session)
        winner = find(session, watch, **options)
        if len(calls) == 1:
            with closing(open_store(sqlite_url(tmp_path))) as store:
                assert extend(store, short, 9) == list(range(6))
        return winner

    monkeypatch.setattr(attempt, "find", find_late)
    serve(tmp_path)
    assert len(calls) == 2
    trials, epochs = found(short, tmp_path)
    again = [trial for trial in trials if trial.pop("restarted", None)]
    assert (trials, epochs) == expected
    assert len(again) == 3, "the three best went on from their last state"
    row = row_of(tmp_path)
    assert row.facts.test_looks == (row.winner_number,)


def test_a_trial_that_had_finished_stays_finished_when_a_budget_ends_it(tmp_path: Path) -> None:
    """Three get 4 more epochs before the budget is spent, three get none."""
    short = steady(4, "\nepochs = 36")
    submit(short, tmp_path)
    serve(tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        assert extend(store, short, 9) == list(range(6))
        serve(tmp_path)
        with pytest.raises(StudyStateError, match=r"Raise search\.epochs"):
            extend(store, short, 12)
    row, trials = row_of(tmp_path), trials_of(short, tmp_path)
    assert row.epochs_spent == 36
    assert {trial["state"] for trial in trials} == {"COMPLETE"}
    assert sorted(trial["epochs"] for trial in trials) == [4, 4, 4, 8, 8, 8]
    for trial in trials:
        assert trial["epochs"] == len(trial["reports"])
        assert trial["values"] == [min(trial["reports"].values())]
        assert trial["ended"] == f"the study's budget of 36 epochs was spent at epoch {trial['epochs']}"
    assert row.winner_number == min(trials, key=lambda trial: trial["values"])["number"]
    assert row.test is not None


def test_more_epochs_while_it_runs(tmp_path: Path) -> None:
    spec = small_study(training="epochs = 12", search='trials = 9\nconcurrency = 3\npruner = "none"')
    submit(spec, tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 40)
        assert extend(store, spec, 16), "some had ended"
        wait_for(lambda: row_of(tmp_path).finished_at is not None)
    assert [trial["epochs"] for trial in trials_of(spec, tmp_path)] == [16] * 9
    assert row_of(tmp_path).epochs_spent == len(epochs_of(spec, tmp_path)) == 9 * 16


def test_more_trials_while_it_runs_and_after_it(tmp_path: Path) -> None:
    spec = small_study(**LONG)
    submit(with_trials(spec, 4), tmp_path)
    serve(tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store, working(tmp_path):
        control.extend_trials(store, control.submitted(store, "small"), 8)
        wait_for(lambda: len(trials_of(spec, tmp_path)) > 5)
        control.extend_trials(store, control.submitted(store, "small"), 12)
        wait_for(lambda: row_of(tmp_path).finished_at is not None and len(trials_of(spec, tmp_path)) > 8)
    assert [trial["number"] for trial in trials_of(spec, tmp_path)] == list(range(12))


def test_budgets_hold_over_workers(tmp_path: Path) -> None:
    search = 'trials = 30\nconcurrency = 4\npruner = "none"\nepochs = 50'
    spec = small_study(training="epochs = 10", search=search)
    submit(spec, tmp_path)
    with working(tmp_path):
        wait_for(lambda: row_of(tmp_path).epochs_spent >= 10)
    serve(tmp_path)
    row, trials = row_of(tmp_path), trials_of(spec, tmp_path)
    assert 50 <= row.epochs_spent < 50 + 4, "more than the trials in flight had begun"
    assert row.epochs_spent == len(epochs_of(spec, tmp_path))
    cut = [trial for trial in trials if trial["ended"].startswith("the study's budget of 50 epochs was spent")]
    assert cut
    assert {trial["state"] for trial in cut} == {"PRUNED"}
    assert all(trial["state"] in ("PRUNED", "COMPLETE") for trial in trials)
    # The same with `hpo run`.
    assert result_of(spec, tmp_path / "run") == (trials, epochs_of(spec, tmp_path))
    shutil.rmtree(tmp_path / "run")


@pytest.mark.parametrize("budget", ["wall_seconds = 0.001", "cpu_seconds = 0.001"])
def test_a_budget_of_time_ends_everything_after_the_epoch_in_hand(budget: str, tmp_path: Path) -> None:
    spec = small_study(training=TABLES["training"], search=f'trials = 9\nconcurrency = 3\npruner = "none"\n{budget}')
    trials, epochs = result_of(spec, tmp_path)
    assert [trial["epochs"] for trial in trials] == [1, 1, 1]
    assert len(epochs) == 3
    assert all(trial["ended"].startswith("the study's budget of 0.001") for trial in trials)
    assert run(spec, tmp_path).epochs == 0
