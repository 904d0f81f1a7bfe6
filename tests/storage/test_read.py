"""What reports read: facts and a data frame."""

from __future__ import annotations

import pytest

from hpo.errors import StudyStateError
from hpo.storage.engine import open_store
from hpo.storage.read import EPOCH_COLUMNS, epochs_frame, read_study
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


def test_a_study_without_trials_has_an_empty_frame(store: Store, study_id: int) -> None:
    assert list(epochs_frame(store, "digits").columns) == list(EPOCH_COLUMNS)
    assert len(epochs_frame(store, "digits")) == 0


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
