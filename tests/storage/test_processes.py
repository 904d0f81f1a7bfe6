"""Several processes on one database: what one writes the others see, and numbers and claims are exact."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import select

from hpo.database import connect
from hpo.database.tables import hpo_studies, trials
from hpo.registry import reopening
from hpo.registry.studies import register_study
from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.storage.writers import conduct, context, finish, run, start, suggest, table


@pytest.fixture
def study_id(store: Store) -> int:
    return store.create_new_study([StudyDirection.MAXIMIZE], "study")


def create_in_batches(url: str, study_id: int, barrier: Barrier) -> None:
    store = open_store(url)
    barrier.wait()
    for count in (1, 5, 2):
        store.create_trials(study_id, count)
    with store.transaction():
        for trial_id in store.create_trials(study_id, 3):
            store.set_trial_user_attr(trial_id, "batch", 3)


def create_with_optuna(plain_url: str, barrier: Barrier) -> None:
    study = optuna.load_study(study_name="study", storage=plain_url)
    barrier.wait()
    for _ in range(5):
        study.ask()


def test_numbers_have_no_gaps_or_duplicates(store: Store, study_id: int, url: str, plain_url: str) -> None:
    barrier = context.Barrier(4)
    executor = [start(create_in_batches, url, study_id, barrier) for _ in range(3)]
    executor.append(start(create_with_optuna, plain_url, barrier))
    assert [finish(process) for process in executor] == [0] * 4
    with store.reading() as connection:
        numbers = list(connection.execute(select(trials.c.number).order_by(trials.c.trial_id)).scalars())
    assert numbers == list(range(3 * 11 + 5))
    assert [trial.number for trial in store.get_all_trials(study_id)] == numbers


def claim_all(url: str, study_id: int, in_transaction: bool, barrier: Barrier) -> None:
    store = open_store(url)
    study = optuna.Study("study", store)
    store.get_all_trials(study_id)
    barrier.wait()
    while True:
        if in_transaction:
            with store.transaction():
                trial_id = study._pop_waiting_trial_id()
                if trial_id is not None:
                    store.set_trial_user_attr(trial_id, "claims", 1)
        else:
            trial_id = study._pop_waiting_trial_id()
        if trial_id is None:
            return
        # A second claim of the same trial would fail here, since it has ended.
        store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])


def test_a_waiting_trial_is_claimed_once(store: Store, study_id: int, url: str) -> None:
    study = optuna.Study("study", store)
    for index in range(12):
        study.enqueue_trial({"x": index})
    barrier = context.Barrier(3)
    executor = [start(claim_all, url, study_id, in_transaction, barrier) for in_transaction in (True, True, False)]
    assert [finish(process) for process in executor] == [0, 0, 0]
    assert [trial.state for trial in store.get_all_trials(study_id)] == [TrialState.COMPLETE] * 12


def stall(url: str, study_id: int, created: Event) -> None:
    """Begin to create trials and go no further."""
    connect.IDLE_SECONDS = 1
    store = open_store(url)
    with store.transaction():
        store.create_trials(study_id, 3)
        created.set()
        time.sleep(3600)


def test_a_stopped_process_does_not_stop_the_others(
    emptied_database: Callable[[], str],
) -> None:
    url = emptied_database()
    store = open_store(url)
    study_id = store.create_new_study([StudyDirection.MAXIMIZE], "study")
    created = context.Event()
    process = start(stall, url, study_id, created)
    assert created.wait(60)
    [trial_id] = store.create_trials(study_id, 1)
    assert store.get_trial(trial_id).number == 0
    process.kill()
    process.join()


def open_and_register(url: str, barrier: Barrier) -> None:
    barrier.wait()
    store = open_store(url)
    study_id = register_study(
        store,
        name="study",
        direction="maximize",
        metric="accuracy",
        spec_text="",
        source="study.toml",
        fingerprint="f",
        dataset_fingerprint="d",
        seed=0,
        hpo_version="0",
    )
    store.create_trials(study_id, 1)


def test_a_new_database_is_opened_by_many_at_once(bare_url: str) -> None:
    barrier = context.Barrier(6)
    executor = [start(open_and_register, bare_url, barrier) for _ in range(6)]
    assert [finish(process) for process in executor] == [0] * 6
    store = open_store(bare_url)
    with store.reading() as connection:
        [study_id] = connection.execute(select(hpo_studies.c.study_id)).scalars()
    assert [trial.number for trial in store.get_all_trials(study_id)] == list(range(6))


def conduct_elsewhere(url: str, study_id: int) -> None:
    conduct(open_store(url), study_id)


def test_what_another_process_writes_becomes_visible(store: Store, study_id: int, url: str) -> None:
    assert store.get_all_trials(study_id) == []
    run(conduct_elsewhere, url, study_id)
    seen = store.get_all_trials(study_id)
    assert seen == open_store(url).get_all_trials(study_id)
    assert {trial.state for trial in seen} == {TrialState.COMPLETE, TrialState.PRUNED}
    with store.transaction():
        assert len(table(store, study_id)) == len(seen)


def tell_with_optuna(plain_url: str, number: int) -> None:
    study = optuna.load_study(study_name="study", storage=plain_url)
    study.tell(number, state=TrialState.FAIL)
    study.set_user_attr("dashboard", "a note")
    suggest(study.ask())


def test_what_optuna_writes_becomes_visible(store: Store, study_id: int, plain_url: str) -> None:
    """As the dashboard or `optuna tell` does it, to trials that this process runs."""
    told, kept = store.create_trials(study_id, 2)
    with store.transaction():
        store.set_trial_intermediate_value(told, 1, 0.5)
        store.set_trial_intermediate_value(kept, 1, 0.5)
    run(tell_with_optuna, plain_url, 0)
    with store.transaction():
        assert store.get_trial(told).state == TrialState.FAIL
        assert store.get_trial(kept).state == TrialState.RUNNING
        assert store.get_study_user_attrs(study_id) == {"dashboard": "a note"}
        assert "optimizer.learning_rate" in store.get_all_trials(study_id)[2].params
    assert store.get_study_user_attrs(study_id) == {"dashboard": "a note"}


def report_with_optuna(plain_url: str) -> None:
    study = optuna.load_study(study_name="study", storage=plain_url)
    storage = study._storage
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        storage.set_trial_intermediate_value(trial._trial_id, 7, 0.25)
        storage.set_trial_user_attr(trial._trial_id, "seen", True)


def test_running_trials_of_others_are_read_again(store: Store, study_id: int, url: str, plain_url: str) -> None:
    [own] = store.create_trials(study_id, 1)
    [foreign] = open_store(url).create_trials(study_id, 1)
    with store.transaction():
        store.set_trial_intermediate_value(own, 1, 0.5)
        assert len(store.get_all_trials(study_id)) == 2
    run(report_with_optuna, plain_url)
    with store.transaction():
        assert store.get_trial(foreign).intermediate_values == {7: 0.25}
        # In a transaction our own running trials are as we wrote them ...
        assert store.get_trial(own).intermediate_values == {1: 0.5}
        store.set_trial_state_values(own, TrialState.COMPLETE, [0.5])
    # ... but what others added is there once the trial has ended, in memory as in the database.
    assert store.get_trial(own).intermediate_values == {1: 0.5, 7: 0.25}
    with store.transaction():
        assert store.get_trial(own).user_attrs == {"seen": True}


def delete_with_optuna(plain_url: str) -> None:
    optuna.delete_study(study_name="study", storage=plain_url)


def test_a_study_deleted_elsewhere(store: Store, study_id: int, plain_url: str) -> None:
    [trial_id] = store.create_trials(study_id, 1)
    run(delete_with_optuna, plain_url)
    with pytest.raises(KeyError):
        store.get_all_trials(study_id)
    with pytest.raises(KeyError):
        store.set_trial_user_attr(trial_id, "a", 1)
    with pytest.raises(KeyError), store.transaction():
        store.set_trial_intermediate_value(trial_id, 1, 0.5)


def replace_with_optuna(plain_url: str) -> None:
    optuna.delete_study(study_name="study", storage=plain_url)
    optuna.create_study(study_name="another", storage=plain_url).enqueue_trial({"x": 1})


def test_a_study_replaced_under_the_same_ids(tmp_path: Path) -> None:
    """SQLite gives the ids of deleted rows to the next ones."""
    url = f"sqlite:///{tmp_path}/hpo.db"
    store = open_store(url)
    study_id = store.create_new_study([StudyDirection.MAXIMIZE], "study")
    [trial_id] = store.create_trials(study_id, 1)
    store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    store.get_all_trials(study_id)
    run(replace_with_optuna, url)
    assert store.get_study_id_from_name("another") == study_id
    assert [trial.state for trial in store.get_all_trials(study_id)] == [TrialState.WAITING]


def test_a_trial_that_another_process_reopened_is_read_again(new_database: Callable[[], str]) -> None:
    """An ended trial is read once, unless it runs again: here it does, and has ended anew before this one looks."""
    url = new_database()
    with closing(open_store(url)) as store, closing(open_store(url)) as other:
        study_id = store.create_new_study([StudyDirection.MINIMIZE], "s")
        (trial_id,) = store.create_trials(study_id, 1)
        store.set_trial_state_values(trial_id, TrialState.PRUNED, [1.0])
        assert [trial.values for trial in other.get_all_trials(study_id)] == [[1.0]]
        with store.transaction():
            reopening.go_on(store, study_id, store.get_all_trials(study_id))
            assert [trial.state for trial in store.get_all_trials(study_id)] == [TrialState.RUNNING]
        store.set_trial_intermediate_value(trial_id, 2, 0.5)
        store.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
        (found,) = other.get_all_trials(study_id)
        assert (found.state, found.values, found.intermediate_values) == (TrialState.COMPLETE, [0.5], {2: 0.5})


def test_a_reopening_that_is_not_committed_is_forgotten(new_database: Callable[[], str]) -> None:
    with closing(open_store(new_database())) as store:
        study_id = store.create_new_study([StudyDirection.MINIMIZE], "s")
        (trial_id,) = store.create_trials(study_id, 1)
        store.set_trial_state_values(trial_id, TrialState.PRUNED, [1.0])

        def fail() -> None:
            with store.transaction():
                reopening.go_on(store, study_id, store.get_all_trials(study_id))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert [trial.state for trial in store.get_all_trials(study_id)] == [TrialState.PRUNED]
