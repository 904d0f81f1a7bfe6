"""A data set of the catalogue as a table: a model sees of it what it sees in a study."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpo.data import catalogue
from hpo.data.catalogue import load_dataset
from hpo.data.catalogue.frame import catalogue_frame
from hpo.data.dataset import Dataset
from hpo.data.preprocessing.apply import apply, features_of_frame
from hpo.data.preprocessing.fit import Learner
from hpo.studyfile.records import DataTable
from tests.training.feed.test_drawn import CASES


def same_inputs(dataset: Dataset, data: DataTable, name: str) -> None:
    idx = np.arange(dataset.size)
    preprocessing = Learner.of(dataset, data).fit(idx[::2])
    frame = catalogue_frame(name)
    assert np.array_equal(features_of_frame(preprocessing, frame), apply(preprocessing, dataset, idx))
    assert frame.columns[-1] == dataset.target_name
    assert len(frame) == dataset.size


@pytest.mark.parametrize("name", ["wine", "diabetes", "digits"])
def test_bundled_data_sets(name: str) -> None:
    data = DataTable(dataset=name)
    same_inputs(load_dataset(data, Path()), data, name)


@pytest.mark.parametrize("case", ["table", "texts", "images", "sequences of any length"])
def test_categories_texts_and_sequences(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, values = CASES[case]
    monkeypatch.setattr(catalogue.frame, "load_dataset", lambda data, base: dataset)
    same_inputs(dataset, DataTable(dataset="made", **values), "made")
    assert catalogue_frame("made")[dataset.target_name].tolist()[:2] == [
        dataset.class_names[index] for index in dataset.target_N[:2]
    ]
