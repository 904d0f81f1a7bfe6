"""Our own row of each study, and lists of studies."""

from __future__ import annotations

from typing import Any

import optuna
import pytest
from optuna.study import StudyDirection
from optuna.trial import TrialState
from sqlalchemy import update

from hpo.conventions import NEWEST
from hpo.database.tables import hpo_studies
from hpo.endings import CODE, Ending
from hpo.errors import StudyStateError
from hpo.registry.conclusions import forget_winner, set_winner
from hpo.registry.facts import StudyFacts
from hpo.registry.studies import (
    add_seconds,
    mark_finished,
    mark_unfinished,
    register_study,
    set_balance,
    set_facts,
    study_row,
)
from hpo.registry.summaries import list_studies
from hpo.storage.open import open_store
from hpo.storage.store import Store


def register(store: Store, name: str = "digits", **changes: Any) -> int:
    values: dict[str, Any] = {
        "name": name,
        "direction": "maximize",
        "metric": "accuracy",
        "spec_text": '[study]\nname = "digits"\n',
        "source": "studies/digits.toml",
        "fingerprint": "f" * 64,
        "dataset_fingerprint": "d" * 64,
        "seed": 2**32 - 1,
        "hpo_version": "0.1.0",
    }
    return register_study(store, **{**values, **changes})


def test_a_registered_study_is_there(store: Store, plain_url: str) -> None:
    study_id = register(store)
    row = study_row(store, "digits")
    assert (row.study_id, row.name, row.seed) == (study_id, "digits", 2**32 - 1)
    assert (row.spec_text, row.spec_source) == ('[study]\nname = "digits"\n', "studies/digits.toml")
    assert (row.fingerprint, row.dataset_fingerprint) == ("f" * 64, "d" * 64)
    assert (row.balance, row.facts) == ((), StudyFacts(conventions=NEWEST))
    assert (row.test, row.winner_number, row.finished_at) == (None, None, None)
    assert (row.train_seconds, row.wall_seconds) == (0.0, 0.0)
    plain = optuna.load_study(study_name="digits", storage=plain_url)
    assert plain.direction == StudyDirection.MAXIMIZE
    assert plain.metric_names == ["accuracy"]


def test_registering_again_changes_nothing(store: Store) -> None:
    study_id = register(store)
    before = study_row(store, "digits")
    assert register(store, fingerprint="other", direction="minimize") == study_id
    assert study_row(store, "digits") == before


def test_registering_is_atomic(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.registry.studies.utc_now", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        register(store)
    assert store.get_all_studies() == []


def test_a_study_of_another_program_is_refused(store: Store) -> None:
    store.create_new_study([StudyDirection.MAXIMIZE], "digits")
    with pytest.raises(StudyStateError, match=r"'digits' .*another program"):
        register(store)
    assert list_studies(store) == []


def test_what_a_run_notes_is_kept(store: Store, url: str) -> None:
    study_id = register(store)
    balance = [{"part": "train", "group": "3", "count": 5, "share": 0.25}]
    with store.transaction():
        set_balance(store, study_id, balance)
        set_facts(store, study_id, StudyFacts.of({"device": "cpu", "parts": {"train": 5}}))
        assert study_row(store, "digits").balance == ()
    add_seconds(store, study_id, train=1.5, wall=2.0, cpu=3.0, epochs=4)
    add_seconds(open_store(url), study_id, train=0.5, wall=1.0, cpu=1.0, epochs=8)
    set_winner(store, study_id, 7, {"accuracy": 0.98}, "accuracy")
    mark_finished(store, study_id)
    row = study_row(open_store(url, readonly=True), "digits")
    assert row.balance == tuple(balance)
    assert row.facts.as_dict() == {"device": "cpu", "parts": {"train": 5}}
    assert row.train_seconds == 2.0
    assert 2.0 <= row.wall_seconds < 3.0, "the second process worked while the first did"
    assert (row.epochs_spent, row.cpu_seconds) == (12, 4.0)
    assert (row.winner_number, row.test) == (7, {"accuracy": 0.98})
    assert row.finished_at is not None
    assert row.finished_at >= row.created_at
    mark_unfinished(store, study_id)
    set_winner(store, study_id, 0, None, "accuracy")
    row = study_row(store, "digits")
    assert (row.finished_at, row.winner_number, row.test) == (None, 0, None)


def test_an_unknown_study_names_those_there_are(store: Store) -> None:
    with pytest.raises(StudyStateError, match=r"no study 'digit' in .*begin one with `hpo run STUDY`"):
        study_row(store, "digit")
    register(store)
    register(store, "wine")
    store.create_new_study([StudyDirection.MAXIMIZE], "foreign")
    with pytest.raises(StudyStateError, match=r"Did you mean 'digits'\? It has: digits, wine\."):
        study_row(store, "digit")


def test_listing_studies(store: Store) -> None:
    first, second = register(store), register(store, "wine", direction="minimize", metric="loss")
    register(store, "empty")
    for study_id in (first, second):
        ids = store.create_trials(study_id, 5)
        for trial_id in ids[:4]:
            store.set_trial_user_attr(trial_id, CODE, Ending.FINISHED)
        for trial_id, value in zip(ids, (0.25, 0.75, 0.5), strict=False):
            store.set_trial_state_values(trial_id, TrialState.COMPLETE, [value])
        store.set_trial_state_values(ids[3], TrialState.PRUNED, [9.0])
    mark_finished(store, second)
    digits, wine, empty = list_studies(store)
    assert (digits.name, digits.direction, digits.best, digits.finished_at) == ("digits", "maximize", 0.75, None)
    assert (wine.name, wine.direction, wine.best) == ("wine", "minimize", 0.25)
    assert wine.finished_at is not None
    assert (empty.best, empty.ended_trials, empty.running) == (None, 0, 0)
    assert (digits.finished, digits.pruned, digits.running, digits.failed, digits.waiting) == (3, 1, 1, 0, 0)


def test_the_ensembles_metrics_are_told_from_the_mean(store: Store) -> None:
    study_id = register(store)
    set_winner(store, study_id, 3, {"r2": None, "rmse": 2.0}, "r2", ensemble={"r2": 0.5, "rmse": 1.0})
    row = study_row(store, "digits")
    assert (row.test, row.test_ensemble) == ({"r2": None, "rmse": 2.0}, {"r2": 0.5, "rmse": 1.0})
    assert store.get_study_user_attrs(study_id)["test r2 of the winner's ensemble"] == 0.5
    forget_winner(store, study_id)
    row = study_row(store, "digits")
    assert (row.test, row.test_ensemble) == (None, None)
    assert not store.get_study_user_attrs(study_id)


def test_metrics_of_earlier_versions_are_read(store: Store) -> None:
    """They had no ensemble, and wrote what is undefined as JSON does not have it."""
    study_id = register(store)
    text = '{"r2": -Infinity, "mae": NaN, "rmse": 2.0}'
    store.write(update(hpo_studies).where(hpo_studies.c.study_id == study_id).values(test_json=text))
    row = study_row(store, "digits")
    assert (row.test, row.test_ensemble) == ({"r2": None, "mae": None, "rmse": 2.0}, None)
