"""Damaged cells are told as such by whatever reads them, with the place of the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from hpo.errors import StorageError
from hpo.registry.leases import workers
from hpo.registry.read import read_epochs
from hpo.registry.summaries import list_studies
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.rows import EpochRow
from hpo.storage.store import Store
from tests.registry.test_studies import register

EPOCH = ("train_loss", "valid_loss", "objective", "learning_rate", "gradient_norm", "seconds")


def filled(home: Path) -> int:
    """A database with a trial, its epoch, a checkpoint and a worker; the study's id."""
    with closing(open_store(sqlite_url(home))) as store:
        study_id = register(store)
        (trial_id,) = store.create_trials(study_id, 1)
        row = EpochRow(trial_id=trial_id, replica=0, epoch=1, metrics={"f1": 0.5}, **dict.fromkeys(EPOCH, 0.5))
        store.add_epochs([row])
        store.set_trial_user_attr(trial_id, "ended", "finished")
        store.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
    change(home, f"INSERT INTO hpo_checkpoints VALUES (1, {trial_id}, 'best', 1, 'p', 's', '2026-01-01 00:00:00')")
    change(home, "INSERT INTO hpo_workers VALUES ('w', 'host', 1, NULL, 0.0, 0.0, 0.0, '{}')")
    return study_id


def change(home: Path, statement: str) -> None:
    with closing(sqlite3.connect(home / "hpo.db", isolation_level=None)) as database:
        database.execute(statement)


@pytest.mark.parametrize(
    ("damage", "read"),
    [
        ("UPDATE hpo_checkpoints SET sha256 = x'ff'", lambda store, study_id: store.checkpoints(study_id)),
        ("UPDATE hpo_workers SET complaints_json = '[1]'", lambda store, study_id: workers(store)),
        ("UPDATE trial_values SET value = 'many'", lambda store, study_id: list_studies(store)),
        ("UPDATE hpo_epochs SET metrics_json = '[]'", lambda store, study_id: read_epochs(store, "digits")),
    ],
)
def test_damaged_cells(damage: str, read: Callable[[Store, int], Any], tmp_path: Path) -> None:
    study_id = filled(tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        read(store, study_id)
    change(tmp_path, damage)
    with closing(open_store(sqlite_url(tmp_path))) as store, pytest.raises(StorageError, match="is damaged: "):
        read(store, study_id)


def test_half_a_surrogate_pair_is_a_question_mark(tmp_path: Path) -> None:
    filled(tmp_path)
    change(tmp_path, r"""UPDATE hpo_epochs SET metrics_json = '{"f\ud800": 0.25, "\ud83d\ude00": NaN}'""")
    with closing(open_store(sqlite_url(tmp_path))) as store:
        frame = read_epochs(store, "digits").frame()
    assert frame["f?"].tolist() == [0.25]
    assert frame["\U0001f600"].isna().all()


def test_many_metrics_take_a_moment(tmp_path: Path) -> None:
    """Each was a column put in on its own, which took minutes for some thousands."""
    filled(tmp_path)
    cells = ", ".join(f'"m{number}": {number}' for number in range(2000))
    change(tmp_path, f"UPDATE hpo_epochs SET metrics_json = '{{{cells}, \"seconds\": 9}}'")
    with closing(open_store(sqlite_url(tmp_path))) as store:
        frame = read_epochs(store, "digits").frame()
    assert frame["m1999"].tolist() == [1999.0]
    assert frame["seconds"].tolist() == [0.5]
