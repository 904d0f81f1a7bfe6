"""The feature that predicts best alone is named, with a score on the validation part."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpo.data.catalogue import load_dataset
from hpo.data.parts.lone_feature import lone_feature
from hpo.data.parts.splits import split_data
from hpo.studyfile.records import DataTable


def found(name, change=lambda dataset: dataset):
    dataset = change(load_dataset(DataTable(dataset=name), Path()))
    first = split_data(dataset, DataTable(dataset=name), 0).replicas[0]
    return lone_feature(dataset, first.train_idx, first.valid_idx)


def leaky(dataset):
    numeric = dataset.numeric.copy()
    noise = np.random.default_rng(0).normal(0, 0.01, dataset.size)
    numeric[:, 3] = dataset.target_N + noise * dataset.target_N.std()
    return replace(dataset, numeric=numeric)


@pytest.mark.parametrize(("name", "metric"), [("breast_cancer", "accuracy"), ("diabetes", "r2")])
def test_a_leak_is_found(name, metric):
    sound, leak = found(name), found(name, leaky)
    assert sound.metric == leak.metric == metric
    assert leak.score > 0.95 > sound.score > sound.constant
    assert leak.name == load_dataset(DataTable(dataset=name), Path()).numeric_names[3]
    assert leak.features == len(load_dataset(DataTable(dataset=name), Path()).numeric_names)


def test_images_have_no_features_by_name():
    assert found("digits") is None or found("digits").features == 64
