"""The service's studies: queue, status, budgets, stopping, extending, concluding once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any

import pytest
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import update

from hpo.attributes.lengths import ATTRIBUTE as LENGTHS
from hpo.database.clock import utc_now
from hpo.database.tables import hpo_studies
from hpo.endings import FINISHED_BEFORE, Ended, Ending, Spent
from hpo.errors import StudyStateError
from hpo.registry import control, exclusive, leases, queue
from hpo.registry.conclusions import set_winner
from hpo.registry.facts import StudyFacts
from hpo.registry.studies import StudyRow, add_seconds, register_study, set_facts, study_row
from hpo.storage.open import open_store
from hpo.storage.own_trials import MARK
from hpo.storage.rows import CheckpointRow
from hpo.storage.store import Store
from tests.storage.writers import end

NO_BUDGETS: dict[str, float | None] = dict.fromkeys(("max_trials", "max_epochs", "max_wall_seconds", "max_cpu_seconds"))
FINISHED = Ended(why=Ending.FINISHED)
PRUNED = Ended(why=Ending.PRUNED, detail="median", epoch=2)


def registered(store: Store, name: str = "digits") -> int:
    return register_study(
        store,
        name=name,
        direction="maximize",
        metric="accuracy",
        spec_text="",
        source="digits.toml",
        fingerprint="f",
        dataset_fingerprint="d",
        seed=0,
        hpo_version="0",
    )


def submitted(store: Store, name: str = "digits", priority: int = 0, **budgets: Any) -> int:
    study_id = registered(store, name)
    control.submit(store, study_id, priority=priority, budgets=NO_BUDGETS | budgets)
    return study_id


def without_mark(trial: FrozenTrial) -> dict[str, Any]:
    return {key: value for key, value in trial.system_attrs.items() if key != MARK}


def test_the_queue_is_by_priority_then_age(store: Store) -> None:
    for name, priority in (("old", 0), ("new", 0), ("urgent", 5), ("stopped", 9)):
        submitted(store, name, priority)
    registered(store, "not submitted")
    ended = submitted(store, "ended", 9)
    assert queue.begin_conclusion(store, ended, "worker", 1)
    queue.finish(store, ended, "worker", 1)
    control.stop(store, "stopped")
    assert [study.name for study in queue.queue(store)] == ["urgent", "old", "new"]
    control.resume(store, "stopped")
    assert [study.name for study in queue.queue(store)] == ["stopped", "urgent", "old", "new"]


def test_the_status_of_a_study_counts_trials_and_workers(store: Store) -> None:
    study_id = submitted(store, max_trials=9)
    ids = store.create_trials(study_id, 5)
    end(store, ids[0], TrialState.COMPLETE, FINISHED, [1.0])
    for name, seconds in (("first", 60.0), ("second", 60.0), ("silent", -1.0)):
        leases.register_worker(store, name, "host", 1, seconds)
        leases.set_current_study(store, name, study_id)
    leases.take(store, study_id, "first", 2)
    leases.take(store, study_id, "silent", 1)
    now = queue.status(store, study_id)
    assert now is not None
    assert (now.trials, now.running, now.free, now.workers, now.max_trials) == (5, 4, 2, 2, 9)
    assert now.active
    assert queue.status(store, study_id + 1) is None


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ({"max_epochs": 10}, "the study's budget of 10 epochs was spent"),
        ({"max_wall_seconds": 2.0}, "the study's budget of 2 seconds was spent"),
        ({"max_cpu_seconds": 3.0}, "the study's budget of 3 processor seconds was spent"),
        ({"max_epochs": 11, "max_wall_seconds": 2.5, "max_cpu_seconds": 3.5}, None),
        ({"max_trials": 0}, None),
    ],
)
def test_budgets_are_spent_over_all_that_was_added(store: Store, budget: dict[str, float], said: str | None) -> None:
    study_id = submitted(store, **budget)
    add_seconds(store, study_id, train=1.0, wall=2.0, cpu=1.0, epochs=4)
    add_seconds(store, study_id, train=1.0, wall=0.0, cpu=2.0, epochs=6)
    now = queue.status(store, study_id)
    assert now is not None
    assert (now.spent and str(now.spent)) == said


def test_only_submitted_studies_can_be_controlled(store: Store) -> None:
    registered(store)
    for steer in (control.stop, control.resume):
        with pytest.raises(StudyStateError, match=r"was not submitted to workers.*hpo submit digits.toml"):
            steer(store, "digits")
    submitted(store, "wine")
    with pytest.raises(StudyStateError, match="is not stopped"):
        control.resume(store, "wine")
    with pytest.raises(StudyStateError, match=r"no study 'win'.*Did you mean 'wine'"):
        control.stop(store, "win")


@pytest.mark.parametrize(
    "steer",
    [
        lambda store, row: control.stop(store, row.name),
        lambda store, row: control.extend_trials(store, row, 9),
        lambda store, row: control.extend_epochs(store, row, 9, before=3, fingerprint="g"),
    ],
    ids=["stop", "trials", "epochs"],
)
def test_a_study_that_a_run_claims_meanwhile_is_not_changed(
    steer: Callable[[Store, StudyRow], object], store: Store, url: str
) -> None:
    study_id = submitted(store)
    row = study_row(store, "digits")
    store.write(update(hpo_studies).values(stopped_at=utc_now()))
    with closing(open_store(url)) as other, ThreadPoolExecutor() as pool:
        with store.transaction():
            exclusive.claim(store, study_id, "hpo run here", "here", 1, 60.0)
            steered = pool.submit(steer, other, row)
            wait([steered], timeout=0.5)
        with pytest.raises(StudyStateError, match="is in the hands of `hpo run`"):
            steered.result(timeout=30.0)
    assert study_row(store, "digits").max_trials == row.max_trials


def test_control_of_a_study_that_hpo_run_has_is_refused_with_advice(store: Store) -> None:
    study_id = registered(store)
    exclusive.claim(store, study_id, "hpo run one", "host", 7, 60.0)
    for steer in (control.stop, control.submitted):
        with pytest.raises(StudyStateError, match=r"process 7 on host.*Ctrl-C.*budgets.*in digits\.toml.*hpo submit"):
            steer(store, "digits")
    leases.send_heartbeat(store, "hpo run one", -1.0)
    with pytest.raises(StudyStateError, match="was not submitted to workers"):
        control.stop(store, "digits")


def test_exactly_one_worker_concludes_and_another_if_it_dies(store: Store) -> None:
    study_id = submitted(store)
    (trial_id,) = store.create_trials(study_id, 1)
    for name in ("first", "second"):
        leases.register_worker(store, name, "host", 1, 60.0)
        leases.set_current_study(store, name, study_id)
    assert not queue.begin_conclusion(store, study_id, "first", 1), "a trial runs"
    store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert not queue.begin_conclusion(store, study_id, "first", 0), "the study was changed meanwhile"
    assert queue.begin_conclusion(store, study_id, "first", 1)
    assert not queue.begin_conclusion(store, study_id, "second", 1)
    leases.send_heartbeat(store, "first", -1.0)
    assert queue.begin_conclusion(store, study_id, "second", 1)
    assert not queue.finish(store, study_id, "first", 1), "the first one's time was over"
    assert study_row(store, "digits").finished_at is None
    assert queue.finish(store, study_id, "second", 1)
    assert study_row(store, "digits").finished_at is not None
    assert not queue.begin_conclusion(store, study_id, "second", 1)


def test_an_extension_during_the_conclusion_is_not_lost(store: Store) -> None:
    study_id = submitted(store)
    assert queue.begin_conclusion(store, study_id, "first", 1)
    control.extend_trials(store, study_row(store, "digits"), 10)
    assert not queue.finish(store, study_id, "first", 1)
    row = study_row(store, "digits")
    assert (row.finished_at, row.max_trials, row.generation) == (None, 10, 2)


def test_more_epochs_let_ended_trials_run_again_under_their_numbers(store: Store) -> None:
    study_id = submitted(store)
    ids = store.create_trials(study_id, 3)
    for trial_id, reason, state in zip(
        ids,
        (FINISHED, PRUNED, Ended(why=Ending.BUDGET, detail=Spent(setting="epochs", limit=9), epoch=3)),
        (TrialState.COMPLETE, TrialState.PRUNED, TrialState.PRUNED),
        strict=True,
    ):
        for step in (1, 2):
            store.set_trial_intermediate_value(trial_id, step, step / 4)
        store.set_trial_user_attr(trial_id, "parameters", 7)
        end(store, trial_id, state, reason, [0.5])
    row = CheckpointRow(trial_id=ids[0], kind="final", epoch=2, path="final.pt", sha256="0" * 64)
    store.add_checkpoints([row])
    continued = control.extend_epochs(store, study_row(store, "digits"), 4, before=3, fingerprint="g")
    assert continued == [0, 2]
    running, ended, cut = store.get_all_trials(study_id)
    for trial in (running, cut):
        assert (trial.state, trial.values, trial.datetime_complete) == (TrialState.RUNNING, None, None)
        assert trial.intermediate_values == {1: 0.25, 2: 0.5}
        assert trial.user_attrs == {"parameters": 7}
    assert (ended.state, ended.values) == (TrialState.PRUNED, [0.5])
    assert without_mark(running) == {FINISHED_BEFORE: 2, LENGTHS: [[None, 3]]}
    assert without_mark(cut) == without_mark(ended) == {LENGTHS: [[None, 3]]}
    assert [row.kind for row in store.checkpoints(study_id)] == ["running"]
    now = study_row(store, "digits")
    assert (now.trial_epochs, now.fingerprint, now.generation) == (4, "g", 2)
    leases.register_worker(store, "worker", "host", 1, 60.0)
    assert leases.take(store, study_id, "worker", 9) == [ids[0], ids[2]]


def test_only_what_had_finished_last_is_known_as_finished(store: Store) -> None:
    """A trial that finished, went on, was pruned, and goes on again."""
    study_id = submitted(store)
    (trial_id,) = store.create_trials(study_id, 1)
    known = []
    for epochs, reason in ((4, FINISHED), (6, PRUNED)):
        end(store, trial_id, TrialState.COMPLETE if reason == FINISHED else TrialState.PRUNED, reason, [0.5])
        row = study_row(store, "digits")
        assert control.extend_epochs(store, row, epochs, before=epochs - 2, fingerprint="g", pruned=True) == [0]
        known.append(FINISHED_BEFORE in store.get_trial(trial_id).system_attrs)
    assert known == [True, False]


@pytest.mark.parametrize(
    ("budget", "way_out"),
    [
        ({"max_epochs": 4}, r"budget of 4 epochs was spent.*Raise search\.epochs in digits\.toml.*`hpo submit digits"),
        ({"max_wall_seconds": 2.0}, r"Raise search\.wall_seconds"),
        ({"max_cpu_seconds": 3.0}, r"Raise search\.cpu_seconds"),
    ],
)
def test_more_of_one_budget_is_refused_while_another_is_spent(
    store: Store, budget: dict[str, float], way_out: str
) -> None:
    study_id = submitted(store, max_trials=1, **budget)
    (trial_id,) = store.create_trials(study_id, 1)
    end(store, trial_id, TrialState.COMPLETE, FINISHED, [0.5])
    add_seconds(store, study_id, train=2.0, wall=2.0, cpu=3.0, epochs=4)
    before = study_row(store, "digits")
    with pytest.raises(StudyStateError, match=way_out):
        control.extend_epochs(store, before, 9, before=3, fingerprint="g")
    with pytest.raises(StudyStateError, match=way_out):
        control.extend_trials(store, before, 9)
    assert study_row(store, "digits") == before
    assert store.get_trial(trial_id).state == TrialState.COMPLETE
    more = {name: 2 * limit for name, limit in budget.items()}
    control.submit(store, study_id, priority=0, budgets=NO_BUDGETS | more)
    control.extend_trials(store, before, 9)
    assert control.extend_epochs(store, before, 9, before=3, fingerprint="g") == [0]


def test_more_epochs_wait_for_a_transaction_that_ends_trials(store: Store, url: str) -> None:
    study_id = submitted(store)
    (trial_id,) = store.create_trials(study_id, 1)
    row = study_row(store, "digits")
    with closing(open_store(url)) as other, ThreadPoolExecutor() as pool:
        with store.transaction():
            assert queue.status_now(store, study_id).trial_epochs is None
            extension = pool.submit(control.extend_epochs, other, row, 4, before=3, fingerprint="g")
            wait([extension], timeout=0.5)
            end(store, trial_id, TrialState.COMPLETE, FINISHED, [0.5])
        assert extension.result(timeout=30.0) == [0], "it missed a trial that ended meanwhile"
    with store.transaction():
        assert queue.status_now(store, study_id).trial_epochs == 4


@pytest.mark.parametrize(("winner", "goes_on"), [(0, True), (1, False)])
def test_a_winner_that_goes_on_is_none_until_the_study_ends_again(store: Store, winner: int, goes_on: bool) -> None:
    study_id = submitted(store)
    stopped_early = Ended(why=Ending.STOPPED_EARLY, epoch=2)
    for trial_id, reason in zip(store.create_trials(study_id, 2), (FINISHED, stopped_early), strict=True):
        end(store, trial_id, TrialState.COMPLETE, reason, [0.5])
    set_facts(store, study_id, StudyFacts(test_looks=(winner,)))
    set_winner(store, study_id, winner, {"accuracy": 0.5}, "accuracy")
    shown = {"winner": f"trial {winner}", "test accuracy of the winner": 0.5}
    assert store.get_study_user_attrs(study_id) == shown
    assert control.extend_epochs(store, study_row(store, "digits"), 4, before=3, fingerprint="g") == [0]
    row = study_row(store, "digits")
    assert row.facts == StudyFacts(test_looks=(winner,))
    assert (row.winner_number, row.test) == ((None, None) if goes_on else (winner, {"accuracy": 0.5}))
    assert store.get_study_user_attrs(study_id) == ({} if goes_on else shown)
