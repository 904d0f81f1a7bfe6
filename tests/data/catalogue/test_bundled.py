"""Every data set of the catalogue keeps one contract, from loading to the arrays that training gets."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hpo.data.catalogue import load_dataset
from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.catalogue.entry import Bundled
from hpo.data.dataset import _json_of, no_categories
from hpo.data.notes import Note
from hpo.data.parts.splits import split_data
from hpo.data.prepare import prepare_data, prepare_test
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

NAMES = tuple(name for name, entry in CATALOGUE.items() if isinstance(entry.source, Bundled))
"""Of those that need no files."""


def table(dataset: str, **values: object) -> DataTable:
    return DataTable.model_validate({"dataset": dataset, **values})


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_says_what_its_data_set_is(name):
    entry, dataset = CATALOGUE[name], load_dataset(table(name), Path())
    assert (dataset.name, dataset.kind, dataset.task) == (name, entry.kind, entry.task)
    assert (dataset.size, *dataset.numeric.shape[1:]) == (entry.examples, *entry.shape)
    assert len(set(dataset.numeric_names)) == math.prod(entry.shape)
    assert np.isfinite(dataset.numeric).all()
    if dataset.task == "classification":
        assert dataset.target_N.dtype == np.int64
        assert sorted(set(dataset.target_N.tolist())) == list(range(len(dataset.class_names)))
    else:
        assert dataset.target_N.dtype == np.float64
        assert dataset.class_names == ()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scaling", ["standard", "none"])
@pytest.mark.parametrize("folds", [None, 3])
def test_prepared_arrays(name, scaling, folds):
    data = table(name, scaling=scaling, folds=folds)
    dataset = load_dataset(data, Path())
    splits = split_data(dataset, data, seed=0)
    prepared = prepare_data(dataset, splits, data)
    assert prepared.signature.shape == CATALOGUE[name].shape
    assert prepared.outputs == (len(dataset.class_names) or 1)
    assert len(prepared.replicas) == (folds or 1)
    for replica, indices in zip(prepared.replicas, splits.replicas, strict=True):
        test = prepare_test(dataset, splits, replica.preprocessing)
        for x, y, idx in (
            (replica.x_train, replica.y_train, indices.train_idx),
            (replica.x_valid, replica.y_valid, indices.valid_idx),
            (test.x, test.y, splits.test_idx),
        ):
            assert x.dtype == np.float32
            assert x.shape == (len(idx), *prepared.signature.shape)
            assert x.flags.c_contiguous
            assert np.isfinite(x).all()
            assert y.shape == (len(idx),)
            assert y.dtype == (np.int64 if prepared.task == "classification" else np.float32)
            np.testing.assert_allclose(
                y * replica.target_scale + replica.target_offset, dataset.target_N[idx], rtol=1e-5
            )
        raw = dataset.numeric[indices.train_idx]
        alike = (0, 2, 3) if dataset.kind == "image" else 0  # pixels are scaled by channel
        if scaling == "standard":
            np.testing.assert_allclose(replica.x_train.mean(axis=alike), 0, atol=1e-4)
            np.testing.assert_allclose(replica.x_train.std(axis=alike), 1, atol=1e-4)
        else:
            np.testing.assert_array_equal(replica.x_train, raw.astype(np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_statistics_come_from_the_training_part_alone(name):
    data = table(name)
    dataset = load_dataset(data, Path())
    splits = split_data(dataset, data, seed=0)
    held_out = np.concatenate([splits.test_idx, splits.replicas[0].valid_idx])
    features, target = dataset.numeric.copy(), dataset.target_N.copy()
    features[held_out] += 1000
    if dataset.task == "regression":
        target[held_out] += 1000
    before = prepare_data(dataset, splits, data).replicas[0]
    after = prepare_data(replace(dataset, numeric=features, target_N=target), splits, data).replicas[0]
    assert after.preprocessing == before.preprocessing
    np.testing.assert_array_equal(after.x_train, before.x_train)
    assert (after.x_valid != before.x_valid).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_follows_the_content(name):
    dataset = load_dataset(table(name), Path())
    assert load_dataset(table(name), Path()).fingerprint == dataset.fingerprint
    features, target = dataset.numeric.copy(), dataset.target_N.copy()
    features.flat[0] += 1
    target[0] = 1 - target[0]
    assert replace(dataset, numeric=features).fingerprint != dataset.fingerprint
    assert replace(dataset, target_N=target).fingerprint != dataset.fingerprint
    assert replace(dataset, target_name="other").fingerprint != dataset.fingerprint
    assert replace(dataset, notes=(Note(kind="read_as", text="seen"),)).fingerprint == dataset.fingerprint


def test_digits_are_images_of_one_channel():
    dataset = load_dataset(table("digits"), Path())
    assert dataset.numeric.dtype == np.float32
    assert (dataset.numeric.min(), dataset.numeric.max()) == (0, 16)
    assert dataset.numeric_names[:2] == ("pixel_0_0", "pixel_0_1")


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(DataError, match=r'no "digit"\. Did you mean "digits"\? Known: digits, wine,') as caught:
        load_dataset(table("digit"), Path())
    assert "CSV" in str(caught.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"target": "weight"}, 'own target, "digit". Leave data.target out'),
        ({"task": "regression"}, 'target of "digits" is for classification'),
    ],
)
def test_the_catalogue_knows_the_target(values, message):
    with pytest.raises(DataError) as caught:
        load_dataset(table("digits", **values), Path())
    assert message in str(caught.value)


def test_the_target_of_the_catalogue_may_be_named():
    assert load_dataset(table("digits", target="digit", task="classification"), Path()).size == 1797


def test_a_path_starts_at_the_study_files_folder(tmp_path):
    (tmp_path / "houses").write_text("a,price\n1,yes\n2,no\n")
    (tmp_path / "houses.csv").write_text("a,price\n1,yes\n2,no\n3,no\n")
    assert load_dataset(table("houses", target="price"), tmp_path).size == 2
    assert load_dataset(table("houses.csv", target="price"), tmp_path).size == 3
    assert load_dataset(table(str(tmp_path / "houses.csv"), target="price"), Path("/")).size == 3


def test_listing_the_names_imports_nothing_heavy():
    code = (
        "import sys, hpo.data.catalogue, hpo.data.prepare;"
        "print(*hpo.data.catalogue.CATALOGUE, *({'sklearn', 'pandas', 'scipy', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == list(CATALOGUE)


def test_the_fingerprint_of_categories_is_that_of_their_json() -> None:
    cells_NK = np.array([["a", None], ['"é', "\ud800"], ["", "a"]], object)
    assert _json_of(cells_NK) == json.dumps(cells_NK.tolist())
    assert _json_of(no_categories(3)) == json.dumps([[], [], []])
