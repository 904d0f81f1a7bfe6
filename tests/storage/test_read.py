"""What reports read: facts and data frames."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from hpo.errors import StudyStateError
from hpo.storage.engine import open_store
from hpo.storage.read import EPOCH_COLUMNS, TRIAL_COLUMNS, epochs_frame, read_study, trials_frame
from hpo.storage.rows import EpochRow
from hpo.storage.store import Store

from .test_studies import register


@pytest.fixture
def study_id(store: Store) -> int:
    return register(store)


def test_facts(store: Store, study_id: int, url: str) -> None:
    facts = read_study(open_store(url, readonly=True), "digits")
    assert (facts.study_id, facts.objective, facts.direction) == (study_id, "accuracy", "maximize")
    assert facts.spec_source == "studies/digits.toml"
    with pytest.raises(StudyStateError, match="no study"):
        read_study(store, "nothing")


def test_a_study_without_trials_has_empty_frames(store: Store, study_id: int) -> None:
    assert list(trials_frame(store, "digits").columns) == list(TRIAL_COLUMNS)
    assert list(epochs_frame(store, "digits").columns) == list(EPOCH_COLUMNS)
    assert len(trials_frame(store, "digits")) == len(epochs_frame(store, "digits")) == 0


def test_trials(store: Store, study_id: int) -> None:
    first, second, _ = store.create_trials(study_id, 3)
    with store.tick():
        store.set_trial_param(first, "optimizer.learning_rate", 0.1, FloatDistribution(1e-3, 1.0, log=True))
        store.set_trial_param(first, "optimizer.name", 1, CategoricalDistribution(("sgd", "adam")))
        store.set_trial_param(second, "optimizer.name", 0, CategoricalDistribution(("sgd", "adam")))
        store.set_trial_param(second, "norm.every", 3, IntDistribution(1, 4))
        store.set_trial_param(second, "optimizer.nesterov", 1, CategoricalDistribution((False, True)))
        store.set_trial_user_attr(first, "ended", "finished")
        store.set_trial_user_attr(first, "epochs", 5)
        store.set_trial_user_attr(second, "seconds", 1.5)
        store.set_trial_state_values(first, TrialState.COMPLETE, [0.9])
        store.set_trial_state_values(second, TrialState.PRUNED, [0.4])
    frame = trials_frame(store, "digits")
    assert list(frame.columns) == [
        *TRIAL_COLUMNS,
        "optimizer.learning_rate",
        "optimizer.name",
        "norm.every",
        "optimizer.nesterov",
        "ended",
        "epochs",
        "seconds",
    ]
    assert list(frame["number"]) == [0, 1, 2]
    assert list(frame["state"]) == ["COMPLETE", "PRUNED", "RUNNING"]
    assert frame["value"].tolist()[:2] == [0.9, 0.4]
    assert math.isnan(frame["value"][2])
    assert frame["norm.every"].dtype == "Int64"
    assert frame["norm.every"][1] == 3
    assert frame["optimizer.nesterov"][1] is True
    assert frame["optimizer.nesterov"][0] is None
    assert frame["optimizer.name"].tolist()[:2] == ["adam", "sgd"]
    assert frame["epochs"][0] == 5
    assert frame["epochs"].dtype == "Int64"
    assert pd.isna(frame["epochs"][1])
    assert 0.0 <= frame["duration"][0] < 3600.0
    assert pd.isna(frame["duration"][2])
    assert frame["datetime_start"][0] == store.get_trial(first).datetime_start
    assert frame.to_csv(index=False).splitlines()[2].split(",")[8] == "3"


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
    frame = epochs_frame(store, "digits")
    assert list(frame.columns) == [*EPOCH_COLUMNS, "accuracy", "auroc"]
    assert frame[["number", "replica", "epoch"]].to_numpy().tolist() == [[0, 0, 1], [0, 0, 2], [0, 1, 1], [1, 0, 1]]
    assert frame["accuracy"].isna().tolist() == [False, True, True, False]
    assert frame["auroc"].tolist()[1] == 0.75
    for column in ("objective", "valid_loss", "gradient_norm"):
        assert frame[column].dtype == "float64"
        assert frame[column].isna().all()
    assert frame["train_loss"].tolist() == [0.5] * 4
