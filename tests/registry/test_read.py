"""What reports read: a study's row and a data frame."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from optuna.distributions import CategoricalDistribution
from optuna.trial import TrialState

from hpo.errors import StorageError, StudyStateError
from hpo.registry.read import EPOCH_COLUMNS, Epochs, read_epochs
from hpo.registry.studies import study_row
from hpo.reports.facts import gather
from hpo.storage.open import open_store
from hpo.storage.rows import EpochRow
from hpo.storage.store import Store
from tests.registry.test_studies import register


@pytest.fixture
def study_id(store: Store) -> int:
    return register(store)


def test_a_study(store: Store, study_id: int, url: str) -> None:
    row = study_row(open_store(url, readonly=True), "digits")
    assert (row.study_id, row.objective, row.direction) == (study_id, "accuracy", "maximize")
    assert row.spec_source == "studies/digits.toml"
    with pytest.raises(StudyStateError, match="no study"):
        study_row(store, "nothing")


def test_a_study_without_trials_has_an_empty_frame(store: Store, study_id: int) -> None:
    assert list(read_epochs(store, "digits")) == list(EPOCH_COLUMNS)
    assert len(read_epochs(store, "digits")) == 0


def test_epochs(store: Store, study_id: int) -> None:
    ids = store.create_trials(study_id, 2)

    def row(trial_id: int, replica: int, epoch: int, **metrics: float) -> EpochRow:
        return EpochRow(
            trial_id=trial_id,
            replica=replica,
            epoch=epoch,
            train_loss=0.5,
            valid_loss=float("nan"),
            objective=float("inf"),
            learning_rate=0.1,
            gradient_norm=None,
            seconds=0.25,
            metrics=metrics,
        )

    store.add_epochs(
        [row(ids[1], 0, 1, accuracy=0.25), row(ids[0], 1, 1, accuracy=float("nan")), row(ids[0], 0, 2, auroc=0.75)]
    )
    store.add_epochs([row(ids[0], 0, 1, accuracy=0.5)])
    frame = read_epochs(store, "digits").frame()
    assert list(frame.columns) == [*EPOCH_COLUMNS, "accuracy", "auroc"]
    assert frame[["number", "replica", "epoch"]].to_numpy().tolist() == [[0, 0, 1], [0, 0, 2], [0, 1, 1], [1, 0, 1]]
    assert frame["accuracy"].isna().tolist() == [False, True, True, False]
    assert frame["auroc"].tolist()[1] == 0.75
    for column in ("objective", "valid_loss", "gradient_norm"):
        assert frame[column].dtype == "float64"
        assert frame[column].isna().all()
    assert frame["train_loss"].tolist() == [0.5] * 4


DAMAGES = [
    ("UPDATE hpo_studies SET facts_json = '{'", "hpo_studies, study 'digits', holds '{', which is no JSON"),
    ("UPDATE hpo_studies SET facts_json = '[]'", "hpo_studies, study 'digits', holds '[]': "),
    ("UPDATE hpo_studies SET balance_json = '[true]'", "hpo_studies, study 'digits', holds 'True' as 0: "),
    ("UPDATE hpo_studies SET priority = 'high'", "hpo_studies, study 'digits', holds 'high' as priority: "),
    ("UPDATE hpo_studies SET created_at = 'noon'", "a cell cannot be read"),
    ("UPDATE study_directions SET direction = 'UP'", "a cell cannot be read"),
    ("DELETE FROM study_directions", "study_directions has no row of the study 'digits'"),
    ("UPDATE study_system_attributes SET value_json = '[]'", "study_system_attributes, the metric of study 'digits'"),
    ("UPDATE trials SET state = 'ASLEEP'", "a cell cannot be read"),
    ("UPDATE trial_user_attributes SET value_json = 'x'", "trial_user_attributes, note of trial id "),
    ("UPDATE trial_params SET distribution_json = '{}'", "trial_params holds '{}' as a distribution"),
    ("UPDATE trial_params SET param_value = 7", "trial_params, activation of trial id "),
    ("UPDATE trial_values SET value = 'high'", "trial_values, trial id "),
    ("UPDATE hpo_epochs SET metrics_json = '[[]]'", "hpo_epochs, study 'digits', holds "),
]


@pytest.mark.parametrize(("damage", "expected"), DAMAGES, ids=[damage for damage, _ in DAMAGES])
def test_what_no_program_of_ours_wrote_is_a_storage_error_with_its_place(
    damage: str, expected: str, tmp_path: Path
) -> None:
    place = tmp_path / "hpo.db"
    with closing(open_store(f"sqlite:///{place}")) as store:
        study_id = register(store)
        (trial_id,) = store.create_trials(study_id, 1)
        store.set_trial_param(trial_id, "activation", 1.0, CategoricalDistribution(("relu", "tanh")))
        store.set_trial_user_attr(trial_id, "note", "good")
        metrics = {"train_loss": 0.5, "valid_loss": 0.5, "objective": 0.5, "learning_rate": 0.1}
        store.add_epochs(
            [EpochRow(trial_id=trial_id, replica=0, epoch=1, gradient_norm=1.0, seconds=0.1, metrics={}, **metrics)]
        )
        store.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.5])
    with closing(sqlite3.connect(place, isolation_level=None)) as database:
        database.execute(damage)
    with closing(open_store(f"sqlite:///{place}", readonly=True)) as store, pytest.raises(StorageError) as caught:
        gather(store, "digits")
    assert f"the database sqlite:///{place} is damaged: " in str(caught.value)
    assert expected in str(caught.value)


def test_a_damaged_page_is_told_with_the_place_that_was_given(tmp_path: Path) -> None:
    place = tmp_path / "hpo.db"
    open_store(f"sqlite:///{place}").close()
    with closing(sqlite3.connect(place)) as database:
        ((page,),) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'hpo_studies'")
        ((size,),) = database.execute("PRAGMA page_size")
    content = place.read_bytes()
    place.write_bytes(content[: (page - 1) * size] + b"\xde" * size + content[page * size :])
    with closing(open_store(f"sqlite:///{place}", readonly=True)) as store, pytest.raises(StorageError) as caught:
        study_row(store, "digits")
    assert f"the database sqlite:///{place} is damaged." in str(caught.value)


def test_epochs_are_ordered_and_averaged_over_replicas() -> None:
    epochs = Epochs.of(
        {"number": [1, 0, 0, 0, 0], "replica": [0, 1, 0, 1, 0], "epoch": [1, 2, 1, 1, 2], "loss": [9, 4, 1, 3, None]}
    )
    assert list(zip(epochs["number"], epochs["replica"], epochs["epoch"], strict=True))[1] == (0, 0, 2)
    means = epochs.means(["loss"])
    assert means[0][0] == [1, 2]
    assert means[0][1]["loss"][0] == 2.0
    assert math.isnan(means[0][1]["loss"][1])  # one replica has none
    assert means[1] == ([1], {"loss": [9.0]})
    assert epochs.at({0: 2, 1: 1})["loss"].tolist()[1:] == [4.0, 9.0]
    assert len(epochs.of_trials([1])) == 1
    assert Epochs({}).means(["loss"]) == {}
