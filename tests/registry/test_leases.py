"""Leases: which worker holds which trial, and that trials with an expired lease go to exactly one other worker."""

from __future__ import annotations

from contextlib import suppress
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier

import pytest
from optuna.trial import TrialState
from sqlalchemy import select

from hpo.database.tables import hpo_leases
from hpo.errors import RefusedStatementError
from hpo.registry import leases
from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.registry.test_queue import registered
from tests.storage.writers import context, finish, start

LONG, OVER = 60.0, -1.0
"""Seconds of a lease: one that holds during a test, one that is over at once."""


@pytest.fixture
def study_id(store: Store) -> int:
    return registered(store, "study")


def register(store: Store, name: str, seconds: float = LONG) -> str:
    leases.register_worker(store, name, "host", 1, seconds)
    return name


def test_held_trials_are_not_taken(store: Store, study_id: int) -> None:
    ids = store.create_trials(study_id, 3)
    first, second = register(store, "first"), register(store, "second")
    assert leases.take(store, study_id, first, 2) == ids[:2]
    assert leases.take(store, study_id, second, 9) == ids[2:]
    assert leases.take(store, study_id, second, 9) == []
    assert leases.holders(store, study_id) == {ids[0]: first, ids[1]: first, ids[2]: second}
    assert leases.others(store, study_id, second).keys() == {first}


def test_trials_with_an_expired_lease_are_taken_and_their_worker_notices(store: Store, study_id: int) -> None:
    ids = store.create_trials(study_id, 3)
    first, second = register(store, "first"), register(store, "second")
    leases.take(store, study_id, first, 3)
    leases.send_heartbeat(store, first, OVER)
    assert leases.holders(store, study_id) == {}
    assert leases.take(store, study_id, second, 2) == ids[:2]
    with store.transaction():
        assert leases.lost(store, first, ids, LONG) == set(ids[:2])
    assert leases.holders(store, study_id) == {ids[0]: second, ids[1]: second, ids[2]: first}


def test_a_heartbeat_renews_all_leases(store: Store, study_id: int) -> None:
    ids = store.create_trials(study_id, 2)
    first, second = register(store, "first", OVER), register(store, "second")
    leases.take(store, study_id, first, 2)
    assert leases.send_heartbeat(store, first, LONG) == 2
    assert leases.take(store, study_id, second, 2) == []
    # A transaction that fails gives none.
    leases.send_heartbeat(store, first, OVER)
    with suppress(ZeroDivisionError), store.transaction():
        assert leases.lost(store, first, ids, LONG) == set()
        raise ZeroDivisionError
    assert leases.take(store, study_id, second, 2) == ids


def test_a_trial_that_has_ended_is_not_held(store: Store, study_id: int) -> None:
    ids = store.create_trials(study_id, 2)
    first = register(store, "first")
    leases.take(store, study_id, first, 2)
    store.set_trial_state_values(ids[0], TrialState.FAIL)
    with store.transaction():
        assert leases.lost(store, first, ids, LONG) == {ids[0]}
    assert leases.holders(store, study_id) == {ids[1]: first}


def test_released_trials_are_free(store: Store, study_id: int) -> None:
    ids = store.create_trials(study_id, 3)
    first, second = register(store, "first"), register(store, "second")
    leases.take(store, study_id, first, 3)
    leases.release(store, first, ids[:1])
    leases.release(store, second, ids[1:])
    assert leases.take(store, study_id, second, 3) == ids[:1]
    leases.release_all(store, first)
    assert leases.take(store, study_id, second, 1) == ids[1:2]
    leases.unregister_worker(store, first)
    assert leases.take(store, study_id, second, 3) == ids[2:]
    assert [worker.name for worker in leases.workers(store)] == [second]


def test_a_worker_is_known_with_what_it_does_and_cannot_do(store: Store, study_id: int) -> None:
    register(store, "first", OVER)
    register(store, "second")
    leases.set_current_study(store, "second", study_id)
    leases.record_refusals(store, "second", {"wine": "no such file"})
    silent, alive = leases.workers(store)
    assert (silent.name, silent.alive, silent.study_id, silent.refusals) == ("first", False, None, {})
    assert (alive.name, alive.alive, alive.study_id) == ("second", True, study_id)
    assert alive.refusals == {"wine": "no such file"}
    assert alive.started <= alive.seen


def test_a_worker_whose_row_was_deleted_notices(store: Store) -> None:
    register(store, "first", -leases.FORGOTTEN_SECONDS - 1.0)
    register(store, "second")
    assert leases.send_heartbeat(store, "first", LONG) is None
    assert [worker.name for worker in leases.workers(store)] == ["second"]


def test_a_statement_that_breaks_a_rule_is_told_from_a_database_in_trouble(store: Store) -> None:
    register(store, "first")
    with pytest.raises(RefusedStatementError, match="failed"):
        register(store, "first")


def test_leases_go_with_their_study(store: Store, study_id: int) -> None:
    store.create_trials(study_id, 2)
    leases.take(store, study_id, register(store, "first"), 2)
    store.delete_study(study_id)
    with store.reading() as connection:
        assert connection.execute(select(hpo_leases)).all() == []


def take_in_turn(url: str, study_id: int, name: str, barrier: Barrier, taken: SimpleQueue[list[int]]) -> None:
    store = open_store(url)
    leases.register_worker(store, name, "host", 1, LONG)
    barrier.wait()
    for most in (2, 1, 5, 3):
        taken.put(leases.take(store, study_id, name, most))


def test_each_free_trial_goes_to_exactly_one_of_several_processes(store: Store, url: str, study_id: int) -> None:
    ids = store.create_trials(study_id, 12)
    leases.take(store, study_id, register(store, "silent", OVER), 12)
    barrier: Barrier = context.Barrier(3)
    taken: SimpleQueue[list[int]] = context.SimpleQueue()
    processes = [start(take_in_turn, url, study_id, f"worker {i}", barrier, taken) for i in range(3)]
    assert [finish(process) for process in processes] == [0, 0, 0]
    shares = [taken.get() for _ in range(12)]
    assert sorted(trial_id for share in shares for trial_id in share) == ids
    assert set(leases.holders(store, study_id)) == set(ids)
