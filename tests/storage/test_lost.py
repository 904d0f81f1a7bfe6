"""Connections lost at any moment: a transaction is written whole or not at all, and the store knows which."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import make_url, select
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError, ProgrammingError

from hpo.database import patience
from hpo.database.faults import explained, lost_connection
from hpo.database.tables import trials
from hpo.errors import LostConnectionError, StorageError
from hpo.registry import leases
from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.proxy import Proxy
from tests.registry.test_queue import registered

URL = make_url("postgresql://me:secret@host/db")


@pytest.fixture
def proxy(new_database: Callable[[], str]) -> Iterator[Proxy]:
    made = Proxy(new_database())
    yield made
    made.close()


@pytest.fixture
def cut(proxy: Proxy) -> Iterator[tuple[Store, int, Proxy]]:
    """A store whose connections may be cut, with a study."""
    with closing(open_store(proxy.url)) as store:
        yield store, store.create_new_study([StudyDirection.MAXIMIZE], "study"), proxy


def found(store: Store, study_id: int) -> list[tuple[TrialState, dict[int, float]]]:
    store.forget(study_id)
    return [(trial.state, trial.intermediate_values) for trial in store.get_all_trials(study_id)]


def driver_error(kind: type[psycopg.Error], text: str) -> OperationalError:
    return OperationalError("SELECT 1", {}, kind(text))


def chained(error: Exception) -> Exception:
    outer = RuntimeError("raised by a library")
    outer.__cause__ = error
    return outer


LOSSES = [
    psycopg.OperationalError("consuming input failed: server closed the connection unexpectedly"),
    psycopg.OperationalError("the connection is lost"),
    psycopg.InterfaceError("the connection is closed"),
    psycopg.errors.AdminShutdown("terminating connection due to administrator command"),
    psycopg.errors.ConnectionFailure("gone"),
    psycopg.errors.CannotConnectNow("the database system is in recovery mode"),
    PendingRollbackError("Can't reconnect until invalid transaction is rolled back."),
    driver_error(psycopg.errors.IdleInTransactionSessionTimeout, "it was idle"),
    driver_error(psycopg.OperationalError, "connection failed: FATAL: the database system is starting up"),
]


@pytest.mark.parametrize("error", [*LOSSES, *map(chained, LOSSES)], ids=str)
def test_what_comes_from_a_lost_connection_is_known(error: Exception) -> None:
    assert lost_connection(error) is not None
    said = r"the connection to postgresql://me:\*\*\*@host/db was lost"
    with pytest.raises(LostConnectionError, match=said) as caught, explained(URL):
        raise error
    assert "same command" not in caught.value.finding
    assert lost_connection(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        ZeroDivisionError("planted"),
        KeyError("the connection is closed"),
        ConnectionResetError("of an object store"),
        StorageError("no space is left"),
        ProgrammingError("SELECT", {}, psycopg.errors.UndefinedTable("there is none")),
        driver_error(psycopg.errors.QueryCanceled, "canceling statement due to user request"),
    ],
    ids=repr,
)
def test_other_errors_are_not_taken_for_a_lost_connection(error: Exception) -> None:
    assert lost_connection(error) is None
    kind = type(error) if not isinstance(error, DBAPIError) else StorageError
    with pytest.raises(kind) as caught, explained(URL):
        raise error
    assert not isinstance(caught.value, LostConnectionError)


def test_reading_goes_on(cut: tuple[Store, int, Proxy], caplog: pytest.LogCaptureFixture) -> None:
    store, study_id, proxy = cut
    store.create_trials(study_id, 2)
    with store.reading() as connection:
        for _ in range(3):
            assert len(connection.execute(select(trials.c.trial_id)).all()) == 2
            proxy.cut()
    assert store.once(select(trials.c.number).order_by(trials.c.number)) == [(0,), (1,)]
    assert caplog.text.count("was lost") == 0, "what is mended at once concerns nobody"


def test_what_only_writes_is_written_once(cut: tuple[Store, int, Proxy]) -> None:
    store, study_id, proxy = cut
    (trial_id,) = store.create_trials(study_id, 1)
    with store.transaction():
        store.set_trial_intermediate_value(trial_id, 1, 0.5)
        proxy.cut()
    proxy.cut()
    store.set_trial_user_attr(trial_id, "key", 1)
    assert found(store, study_id) == [(TrialState.RUNNING, {1: 0.5})]


def test_a_transaction_that_had_begun_writes_nothing(cut: tuple[Store, int, Proxy]) -> None:
    store, study_id, proxy = cut

    def transaction() -> None:
        with store.transaction():
            store.create_trials(study_id, 1)
            proxy.cut()

    with pytest.raises(LostConnectionError, match="was lost"):
        transaction()
    assert found(store, study_id) == []
    store.create_trials(study_id, 1)
    assert found(store, study_id) == [(TrialState.RUNNING, {})]


def test_an_error_of_its_own_is_not_replaced_by_that_of_the_connection(cut: tuple[Store, int, Proxy]) -> None:
    store, study_id, proxy = cut

    def transaction() -> None:
        with store.transaction():
            store.create_trials(study_id, 1)
            proxy.cut()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        transaction()
    assert found(store, study_id) == []


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("written", [False, True])
def test_a_commit_that_is_not_answered(
    written: bool, begun: bool, cut: tuple[Store, int, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server is asked whether it was committed."""
    store, study_id, proxy = cut
    (trial_id,) = store.create_trials(study_id, 1)
    commit, calls = store.engine.dialect.do_commit, []

    def unanswered(connection: Any) -> None:
        calls.append(1)
        if len(calls) > 1:
            return commit(connection)
        if written:
            commit(connection)
        proxy.cut()
        connection.execute("SELECT 1")
        return None

    def transaction() -> None:
        with store.transaction():
            if begun:
                store.create_trials(study_id, 1)
            store.set_trial_intermediate_value(trial_id, 1, 0.5)

    monkeypatch.setattr(store.engine.dialect, "do_commit", unanswered)
    if begun and not written:
        with pytest.raises(LostConnectionError):
            transaction()
        assert found(store, study_id) == [(TrialState.RUNNING, {})]
    else:
        transaction()
        assert found(store, study_id) == [
            (TrialState.RUNNING, {1: 0.5}),
            *([(TrialState.RUNNING, {})] if begun else []),
        ]


def test_a_function_that_is_one_transaction_is_called_again(
    cut: tuple[Store, int, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _, proxy = cut
    study_id = registered(store)
    leases.register_worker(store, "worker", "host", 1, 60.0)
    store.create_trials(study_id, 3)
    free, calls = leases.free, []

    def watched(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) < 3:
            proxy.cut()
        return free(*arguments)

    monkeypatch.setattr(leases, "free", watched)
    assert len(leases.take(store, study_id, "worker", 2)) == 2
    assert len(calls) == 3
    assert len(leases.holders(store, study_id)) == 2


def test_trying_again_ends_at_the_limit_of_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience.time, "sleep", sleep)
    monkeypatch.setattr(patience.random, "uniform", lambda low, high: 1.0)

    def cut_off() -> None:
        raise LostConnectionError("it was lost. Run the same command again.", finding="it was lost.")

    with pytest.raises(LostConnectionError), caplog.at_level(logging.WARNING):
        patience.retried(cut_off)
    assert slept[:3] == [0.05, 0.1, 0.2]
    assert max(slept) == patience.LONGEST_PAUSE_SECONDS
    assert patience.GIVEN_UP_SECONDS < sum(slept) <= patience.GIVEN_UP_SECONDS + patience.LONGEST_PAUSE_SECONDS
    assert caplog.messages == ["it was lost. Trying again."], "once, and without advice"
