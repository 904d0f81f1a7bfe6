"""Exclusive claims on a study: against other claims, against workers, and after they expired."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress

import pytest
from optuna.trial import TrialState
from sqlalchemy import select

from hpo.database.tables import hpo_leases
from hpo.errors import StudyStateError, TakenError
from hpo.registry import control, exclusive, leases, queue
from hpo.registry.exclusive import RUN
from hpo.registry.studies import study_row
from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.registry.test_queue import NO_BUDGETS, registered, submitted

LONG, OVER = 60.0, -1.0
"""Seconds of a lease: one that holds during a test, one that is over at once."""


def claim(store: Store, study_id: int, name: str = "first", seconds: float = LONG, dead: str | None = None) -> str:
    exclusive.claim(store, study_id, RUN + name, "host", 7, seconds, dead=dead)
    return RUN + name


def write(store: Store, study_id: int, name: str) -> None:
    """A transaction of a process that assumes that it has the study."""
    with store.transaction():
        exclusive.keep(store, name, LONG)
        store.set_study_user_attr(study_id, "key", name)


def known(store: Store) -> list[str]:
    return [worker.name for worker in leases.workers(store)]


def test_what_one_process_has_is_neither_run_nor_submitted_by_others(store: Store) -> None:
    study_id, other = registered(store), registered(store, "wine")
    first = claim(store, study_id)
    refused = pytest.raises(StudyStateError, match=r"'digits' is being run by `hpo run`, process 7 on host")
    with refused:
        claim(store, study_id, "second")
    with refused:
        control.submit(store, study_id, priority=0, budgets=NO_BUDGETS)
    assert study_row(store, "digits").submitted_at is None
    assert known(store) == [first]
    claim(store, other, "second")
    leases.unregister_worker(store, first)
    control.submit(store, study_id, priority=0, budgets=NO_BUDGETS)


def test_an_expired_claim_or_one_of_a_dead_process_is_dropped(store: Store) -> None:
    study_id = registered(store)
    first = claim(store, study_id, "first", OVER)
    second = claim(store, study_id, "second")
    assert known(store) == [second]
    third = claim(store, study_id, "third", dead=second)
    assert known(store) == [third]
    control.submit(store, study_id, priority=0, budgets=NO_BUDGETS, dead=third)
    assert known(store) == []
    for name in (first, second, third):
        with pytest.raises(TakenError, match="another program has taken the study") as caught:
            write(store, study_id, name)
        assert caught.value.exit_code == 1, "nothing is wrong with what the user gave"
    assert store.get_study_user_attrs(study_id) == {}


def test_an_expired_claim_that_nobody_took_can_be_renewed(store: Store) -> None:
    study_id = registered(store)
    first = claim(store, study_id, "first", OVER)
    write(store, study_id, first)
    assert store.get_study_user_attrs(study_id) == {"key": first}
    with pytest.raises(StudyStateError, match="is being run"):
        claim(store, study_id, "second")


def test_nothing_is_claimed_where_the_transaction_fails(store: Store) -> None:
    study_id = registered(store)
    with suppress(ZeroDivisionError), store.transaction():
        claim(store, study_id)
        raise ZeroDivisionError
    assert known(store) == []
    claim(store, study_id, "second")


def test_a_study_is_claimed_only_after_its_workers_have_left(store: Store) -> None:
    study_id = submitted(store)
    (trial_id,) = store.create_trials(study_id, 1)
    with pytest.raises(StudyStateError, match=r"was submitted to workers.*hpo stop digits"):
        claim(store, study_id)
    leases.register_worker(store, "worker", "host", 1, LONG)
    leases.set_current_study(store, "worker", study_id)
    leases.take(store, study_id, "worker", 1)
    control.stop(store, "digits")
    still = pytest.raises(StudyStateError, match="still at the epoch in hand")
    with still:
        claim(store, study_id)
    leases.release(store, "worker", [trial_id])
    store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert queue.begin_conclusion(store, study_id, "worker", 1)
    with still:
        claim(store, study_id)
    leases.set_current_study(store, "worker", None)
    claim(store, study_id)
    row = study_row(store, "digits")
    assert (row.submitted_at, row.stopped_at, row.concluder) == (None, None, None)


def test_a_worker_whose_lease_expired_owns_nothing_after_a_claim(store: Store) -> None:
    study_id = submitted(store)
    ids = store.create_trials(study_id, 2)
    leases.register_worker(store, "worker", "host", 1, OVER)
    leases.set_current_study(store, "worker", study_id)
    leases.take(store, study_id, "worker", 2)
    control.stop(store, "digits")
    claim(store, study_id)
    with store.transaction():
        assert leases.lost(store, "worker", ids, LONG) == set(ids)
    for trial_id in ids:
        store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])
    assert not queue.begin_conclusion(store, study_id, "worker", 1)


def test_a_worker_suspended_in_a_transaction_keeps_nobody_waiting(emptied_database: Callable[[], str]) -> None:
    """On a server, that is: SQLite has one writer."""
    url = emptied_database()
    with closing(open_store(url)) as store, closing(open_store(url)) as stopped:
        study_id = submitted(store)
        ids = store.create_trials(study_id, 3)
        leases.register_worker(store, "worker", "host", 1, OVER)
        leases.register_worker(store, "other", "host", 2, LONG)
        leases.take(store, study_id, "worker", 2)
        with stopped.transaction():
            assert leases.lost(stopped, "worker", ids[:2], OVER) == set()
            assert leases.take(store, study_id, "other", 2) == ids[2:]
            leases.release(store, "other", ids)
            control.stop(store, "digits")
            with pytest.raises(StudyStateError, match="still at the epoch in hand"):
                claim(store, study_id)
        claim(store, study_id)
        with store.reading() as connection:
            assert connection.execute(select(hpo_leases)).all() == []
