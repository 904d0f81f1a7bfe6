"""Deleting a study: all its rows, never while processes work on it, and with writers at the same time."""

from __future__ import annotations

import threading
import time
from contextlib import closing

import pytest
from sqlalchemy import insert, update

from hpo.database.tables import hpo_workers, trial_intermediate_values
from hpo.errors import StudyStateError
from hpo.registry import control, leases
from hpo.registry.deletion import delete_study
from hpo.storage.open import open_store
from hpo.storage.rows import CheckpointRow
from hpo.storage.store import Store
from tests.registry.test_exclusive import LONG, OVER, claim
from tests.registry.test_queue import registered, submitted
from tests.storage.test_plain_optuna import row_counts


def test_nothing_is_left_but_what_others_have(store: Store) -> None:
    study_id, other = submitted(store), registered(store, "wine")
    leases.register_worker(store, "dead", "host", 7, OVER, study_id)
    with store.transaction():
        trial_ids = store.create_trials(study_id, 2)
        leases.grant(store, "dead", trial_ids)
        store.add_checkpoints(
            CheckpointRow(trial_id=trial_id, kind="running", epoch=1, path="checkpoints/a.pt", sha256="s")
            for trial_id in trial_ids
        )
    assert delete_study(store, "digits") == {"checkpoints/a.pt"}
    with pytest.raises(StudyStateError, match=r"no study 'digits' in .* It has: wine"):
        delete_study(store, "digits")
    assert [worker.study_id for worker in leases.workers(store)] == [None]
    leases.unregister_worker(store, "dead")
    assert delete_study(store, "wine") == set()
    assert other != study_id
    assert row_counts(store) == {"version_info": 1}


def test_a_study_that_workers_train_is_stopped_first(store: Store) -> None:
    study_id = submitted(store)
    leases.register_worker(store, "alive", "host", 7, LONG, study_id)
    with store.transaction():
        leases.grant(store, "alive", store.create_trials(study_id, 1))
    with pytest.raises(StudyStateError, match=r"workers train the study 'digits'.* Stop it with `hpo stop digits`"):
        delete_study(store, "digits")
    control.stop(store, "digits")
    with pytest.raises(StudyStateError, match="Try again in a moment"):
        delete_study(store, "digits")
    store.write(update(hpo_workers).values(expires=0.0))
    delete_study(store, "digits")


def test_a_study_that_a_run_has_is_its_own_until_that_is_gone(store: Store) -> None:
    study_id = registered(store)
    first = claim(store, study_id)
    with pytest.raises(StudyStateError, match="is being run by `hpo run`, process 7 on host"):
        delete_study(store, "digits")
    delete_study(store, "digits", dead=first)
    assert row_counts(store) == {"version_info": 1}


def test_what_is_written_meanwhile_goes_too(store: Store, url: str) -> None:
    """A row that came when its table had been emptied already would have kept the study."""
    study_id = registered(store)
    [trial_id] = store.create_trials(study_id, 1)
    with closing(open_store(url)) as other:
        deleting = threading.Thread(target=other.delete_study, args=[study_id])
        with store.writing() as connection:
            connection.execute(
                insert(trial_intermediate_values).values(
                    trial_id=trial_id, step=1, intermediate_value=0.5, intermediate_value_type="FINITE"
                )
            )
            deleting.start()
            time.sleep(0.5)
        deleting.join()
    assert row_counts(store) == {"version_info": 1}
