"""Preprocessing: fills, indicators, one-hot columns and scales, by hand-computed tables; the way back from JSON."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset, no_categories
from hpo.data.parts.splits import Replica, Splits, split_data
from hpo.data.prepare import prepare_data, prepare_test
from hpo.data.preprocessing.apply import apply, features_of_frame
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.errors import DataError
from hpo.studyfile.records import DataTable
from tests.data.fitting import columns_of, fit
from tests.data.tables import read_table


def made(numeric, categorical=None, target=None) -> Dataset:
    numeric = np.array(numeric, np.float64)
    size = len(numeric)
    cells = no_categories(size) if categorical is None else np.array(categorical, dtype=object)
    return Dataset(
        name="made",
        kind="tabular",
        task="classification" if target is None else "regression",
        numeric=numeric,
        numeric_names=tuple(f"n{column}" for column in range(numeric.shape[1])),
        categorical_NK=cells,
        categorical_names=tuple(f"c{column}" for column in range(cells.shape[1])),
        target_N=np.arange(size) % 2 if target is None else np.array(target, np.float64),
        target_name="y",
        class_names=("a", "b") if target is None else (),
    )


def test_missing_numbers_become_the_training_mean_with_an_indicator():
    dataset = made([[1.0, 5.0], [3.0, np.nan], [np.nan, 7.0], [np.nan, 9.0]])
    preprocessing = fit(dataset, np.array([0, 1]), scaling="none")
    assert preprocessing.fills == (2.0, 5.0)
    assert preprocessing.indicators == ("n1",)
    np.testing.assert_array_equal(
        apply(preprocessing, dataset, np.arange(4)), [[1, 5, 0], [3, 5, 1], [2, 7, 0], [2, 9, 0]]
    )


def test_standardised_numbers():
    dataset = made([[1.0], [3.0], [np.nan], [7.0]])
    preprocessing = fit(dataset, np.array([0, 1, 2]))
    assert (preprocessing.offsets, preprocessing.scales) == ((2.0,), (1.0,))
    np.testing.assert_array_equal(apply(preprocessing, dataset, np.arange(4)), [[-1, 0], [1, 0], [0, 1], [5, 0]])


@pytest.mark.parametrize("value", [0.0, 0.1, -7e20, 1e-300])
def test_a_constant_training_column_is_only_shifted(value):
    dataset = made([[value]] * 7 + [[value + 1.0]])
    preprocessing = fit(dataset, np.arange(7))
    assert preprocessing.scales == (1.0,)
    assert (apply(preprocessing, dataset, np.arange(7)) == 0).all()


def test_a_column_missing_throughout_the_training_part():
    dataset = made([[np.nan], [np.nan], [4.0]])
    preprocessing = fit(dataset, np.array([0, 1]))
    np.testing.assert_array_equal(apply(preprocessing, dataset, np.arange(3)), [[0, 1], [0, 1], [4, 0]])


def test_categories_seen_in_training_get_a_column_each():
    dataset = made(np.empty((5, 0)), [["red"], ["blue"], ["red"], [None], ["green"]])
    preprocessing = fit(dataset, np.array([0, 1, 2, 3]))
    assert preprocessing.categories == (("blue", "red"),)
    np.testing.assert_array_equal(apply(preprocessing, dataset, np.arange(5)), [[0, 1], [1, 0], [0, 1], [0, 0], [0, 0]])


def test_all_folds_have_the_same_columns():
    dataset = made([[1.0], [2.0], [np.nan], [4.0]], [["a"], ["b"], ["c"], [None]])
    parts = [np.array([0, 1, 3]), np.array([1, 2, 3])]
    layout = columns_of(dataset, parts)
    first, second = (fit(dataset, part, scaling="none", columns=layout) for part in parts)
    assert first.input_shape == second.input_shape == (5,)
    assert (first.indicators, first.categories) == ((None,), (("a", "b", None),))
    assert (second.indicators, second.categories) == (("n0",), ((None, "b", "c"),))
    np.testing.assert_array_equal(apply(first, dataset, np.array([2, 3]))[:, 1:], [[0, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(apply(second, dataset, np.array([0, 2]))[:, 1:], [[0, 0, 0, 0], [1, 0, 0, 1]])


def test_replicas_share_arrays_and_folds_have_their_own_statistics():
    data = DataTable(dataset="wine", folds=3, repeats=2)
    dataset = load_dataset(data, Path())
    prepared = prepare_data(dataset, split_data(dataset, data, seed=0), data)
    assert [(replica.repeat, replica.fold) for replica in prepared.replicas][2:4] == [(0, 2), (1, 0)]
    for first, second in zip(prepared.replicas[:3], prepared.replicas[3:], strict=True):
        assert first.x_train is second.x_train
        assert first.y_valid is second.y_valid
        assert first.preprocessing is second.preprocessing
    assert prepared.replicas[0].preprocessing.offsets != prepared.replicas[1].preprocessing.offsets


def test_the_target_of_a_regression_is_standardised_by_the_training_part():
    dataset = made([[0.0], [1.0], [2.0], [3.0]], target=[10.0, 20.0, 30.0, 1000.0])
    replica = Replica(repeat=0, fold=0, train_idx=np.array([0, 1]), valid_idx=np.array([2]))
    splits = Splits(test_idx=np.array([3]), replicas=(replica,), balance=())
    data = DataTable(dataset="made", scaling="none")
    prepared = prepare_data(dataset, splits, data).replicas[0]
    assert (prepared.target_offset, prepared.target_scale) == (15.0, 5.0)
    assert prepared.y_train.tolist() == [-1.0, 1.0]
    assert prepared.y_valid.tolist() == [3.0]
    assert prepare_test(dataset, splits, prepared.preprocessing).y.tolist() == [197.0]


def test_without_a_test_part_it_is_empty():
    data = DataTable(dataset="digits", test=0.0)
    dataset = load_dataset(data, Path())
    splits = split_data(dataset, data, seed=0)
    part = prepare_test(dataset, splits, prepare_data(dataset, splits, data).replicas[0].preprocessing)
    assert part.x.shape == (0, 1, 8, 8)
    assert part.y.shape == (0,)


SCALINGS = ["standard", "robust", "log", "quantile", "none"]


@settings(deadline=None)
@given(arrays(np.float64, (6, 3), elements=st.floats(-1e30, 1e30) | st.just(np.nan)), st.sampled_from(SCALINGS))
@example(np.array([[2.5e-161, 0.0, 0.0], *[[0.0, 0.0, 0.0]] * 5]), "standard")
@example(np.array([[0.0, -1.0, 0.0], [0.0, -1.5e-74, 0.0], *[[0.0, 0.0, 0.0]] * 4]), "robust")
def test_training_rows_are_finite_and_in_range(values, scaling):
    dataset = made(values)
    result = apply(fit(dataset, np.arange(6), scaling=scaling), dataset, np.arange(6))
    assert np.isfinite(result).all()
    if scaling == "standard":
        numbers = result[:, :3]
        assert (numbers[np.isnan(values)] == 0).all()
        present = [column[~np.isnan(column)] for column in values.T]
        spreads = np.array([np.ptp(column) if len(column) else 0.0 for column in present])
        largest = np.array([np.abs(column).max(initial=0.0) for column in present])
        assert (numbers[:, spreads == 0] == 0).all()
        # n values cannot lie further than sqrt(n - 1) standard deviations from their mean.
        assert np.abs(numbers[:, spreads > 1e-9 * largest]).max(initial=0.0) <= np.sqrt(5) + 1e-3


def test_a_value_beyond_float32_is_refused():
    dataset = made([[1.0], [1.0 + 1e-15], [1e30]])
    preprocessing = fit(dataset, np.array([0, 1]))
    with pytest.raises(DataError, match='Column "n0" holds a number that is infinite or'):
        apply(preprocessing, dataset, np.arange(3))


@pytest.mark.parametrize("name", ["digits", "diabetes"])
def test_a_round_trip_through_json_keeps_every_bit(name):
    dataset = load_dataset(DataTable(dataset=name), Path())
    preprocessing = fit(dataset, np.arange(100))
    assert Preprocessing.from_dict(json.loads(json.dumps(preprocessing.as_dict()))) == preprocessing


TABLE = "age,colour,smokes,height,label\n31,red,True,1.75,yes\n,blue,False,1.6,no\n45,red,True,,yes\n28,,False,1.8,no\n"


@pytest.fixture
def trained(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(TABLE)
    dataset = load_dataset(DataTable(dataset="table.csv", target="label"), tmp_path)
    preprocessing = fit(dataset, np.arange(4))
    return path, preprocessing, apply(preprocessing, dataset, np.arange(4))


def test_a_table_is_transformed_like_the_training_data(trained):
    path, preprocessing, expected = trained
    np.testing.assert_array_equal(features_of_frame(preprocessing, read_table(path)), expected)
    typed = pd.read_csv(path)
    assert typed["smokes"].dtype == bool
    shuffled = typed[["height", "smokes", "label", "colour", "age"]]
    np.testing.assert_array_equal(features_of_frame(preprocessing, shuffled), expected)


def test_a_table_without_a_column(trained):
    path, preprocessing, _ = trained
    frame = read_table(path).drop(columns=["age", "colour"])
    with pytest.raises(DataError, match=r"lacks 2 of the 4 columns .*: age, colour\. It has: smokes, height, label"):
        features_of_frame(preprocessing, frame)


def test_a_table_with_text_for_a_number(trained):
    path, preprocessing, _ = trained
    frame = read_table(path).astype({"age": object})
    frame.loc[2, "age"] = "old"
    with pytest.raises(DataError, match='Column "age" must hold numbers, but holds "old" in row 3'):
        features_of_frame(preprocessing, frame)
    frame.loc[2, "age"] = "inf"
    with pytest.raises(DataError, match='Column "age" holds a number that is infinite'):
        features_of_frame(preprocessing, frame)


def test_whole_numbers_are_categories_whatever_their_type(trained):
    dataset = made(np.empty((3, 0)), [["1"], ["2"], ["x"]])
    preprocessing = fit(dataset, np.arange(3))
    frame = pd.DataFrame({"c0": [2.0, 1.0, np.nan]})
    np.testing.assert_array_equal(features_of_frame(preprocessing, frame), [[0, 1, 0], [1, 0, 0], [0, 0, 0]])


def test_pixels_of_a_table_become_images():
    dataset = load_dataset(DataTable(dataset="digits"), Path())
    preprocessing = fit(dataset, np.arange(1000))
    frame = pd.DataFrame(dataset.numeric[1000:1010].reshape(10, 64), columns=list(dataset.numeric_names))
    np.testing.assert_array_equal(
        features_of_frame(preprocessing, frame[frame.columns[::-1]]),
        apply(preprocessing, dataset, np.arange(1000, 1010)),
    )
