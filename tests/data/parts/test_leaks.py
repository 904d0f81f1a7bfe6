"""Nothing is learnt from rows to validate or test on: overwritten, they change neither what training sees nor what is
computed from it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hpo.data.dataset import Dataset
from hpo.data.parts.splits import Splits, split_data
from hpo.data.prepare import prepare_data
from hpo.data.reshuffled import Reshuffled
from hpo.studyfile.records import DataTable
from tests.data.parts.made import table

SIZE = 240
WAYS: dict[str, dict[str, Any]] = {
    "stratified": {},
    "folds": {"folds": 3},
    "groups": {"group": "g"},
    "folds of groups": {"group": "g", "folds": 3},
    "time": {"time": "t"},
    "windows": {"time": "t", "folds": 3},
    "given": {},
}


def made(way: str, *, classes: bool) -> Dataset:
    """Numbers with missing values, categories and repeated rows; by the way with groups, times or given parts."""
    rng = np.random.default_rng(0)
    numeric = rng.normal(size=(SIZE, 3))
    numeric[rng.random((SIZE, 3)) < 0.1] = np.nan
    cells = np.array([["red", "blue", "green", None][n] for n in rng.integers(0, 4, SIZE)], object)[:, None]
    again = rng.permutation(SIZE)[:20]
    numeric[again[:10]], cells[again[:10]] = numeric[again[10:]], cells[again[10:]]
    return Dataset(
        name="made",
        kind="tabular",
        task="classification" if classes else "regression",
        numeric=numeric,
        numeric_names=("a", "b", "c"),
        categorical_NK=cells,
        categorical_names=("k",),
        target_N=rng.integers(0, 3, SIZE) if classes else rng.normal(size=SIZE),
        target_name="y",
        class_names=("x", "y", "z") if classes else (),
        group_N=np.array([f"g{n}" for n in rng.integers(0, 40, SIZE)], object) if "group" in WAYS[way] else None,
        time_N=rng.integers(0, 100, SIZE).astype(float) if "time" in WAYS[way] else None,
        part_N=rng.permutation(np.repeat([0, 1, 2], [SIZE - 80, 40, 40])) if way == "given" else None,
    )


def overwritten(dataset: Dataset, rows: np.ndarray) -> Dataset:
    """The data set with other features in these rows: rows that were alike still are, and no others."""
    numeric, cells = dataset.numeric.copy(), dataset.categorical_NK.copy()
    numeric[rows] = 1e3 + 1e3 * numeric[rows]
    cells[rows] = [[f"other {cell}"] for cell in cells[rows, 0]]
    return replace(dataset, numeric=numeric, categorical_NK=cells)


def split(dataset: Dataset, data: DataTable) -> Splits:
    return split_data(dataset, data, 3)


@pytest.mark.parametrize("classes", [True, False], ids=["classes", "numbers"])
@pytest.mark.parametrize("way", WAYS)
def test_nothing_learnt_changes_where_the_other_rows_are_overwritten(way: str, classes: bool) -> None:
    dataset, data = made(way, classes=classes), table(**WAYS[way])
    splits = split(dataset, data)
    before = prepare_data(dataset, splits, data)
    for replica, prepared in zip(splits.replicas, before.replicas, strict=True):
        rows = np.setdiff1d(np.arange(SIZE), replica.train_idx)
        other = overwritten(dataset, rows)
        again = split(other, data)
        assert again.fingerprint == splits.fingerprint
        alone = replace(splits, replicas=(replace(replica, fold=0),))
        target_N = dataset.target_N.copy()
        target_N[rows] = 0 if classes else 1e6
        after = prepare_data(replace(other, target_N=target_N), alone, data).replicas[0]
        expected = prepare_data(dataset, alone, data).replicas[0]
        assert after.preprocessing == expected.preprocessing
        assert np.array_equal(after.x_train, expected.x_train)
        assert np.array_equal(after.y_train, expected.y_train)
        assert after.preprocessing.offsets == prepared.preprocessing.offsets
        assert "other" not in str(after.preprocessing.categories)


@pytest.mark.parametrize("way", [way for way in WAYS if "time" not in WAYS[way] and way != "given"])
def test_no_row_to_score_on_has_the_features_of_a_row_to_train_on(way: str) -> None:
    dataset = made(way, classes=True)
    splits = split(dataset, table(**WAYS[way]))
    assert (splits.repeats.rows, splits.repeats.across) == (10, 0)
    for replica in splits.replicas:
        parts = [replica.train_idx, replica.valid_idx, splits.test_idx]
        seen = [{dataset.numeric[row].tobytes() for row in part} for part in parts]
        assert not seen[0] & seen[1]
        assert not (seen[0] | seen[1]) & seen[2]
        if dataset.group_N is not None:
            groups = [set(dataset.group_N[part]) for part in parts]
            assert sum(map(len, groups)) == len(set(dataset.group_N))


@pytest.mark.parametrize("way", ["time", "windows"])
def test_the_later_times_decide_nothing_about_the_training_part(way: str) -> None:
    dataset, data = made(way, classes=True), table(**WAYS[way])
    assert dataset.time_N is not None
    splits = split(dataset, data)
    time_N = dataset.time_N.copy()
    time_N[splits.test_idx] += 1e6
    moved = split(replace(dataset, time_N=time_N), data)
    assert moved.fingerprint == splits.fingerprint


@pytest.mark.parametrize("classes", [True, False], ids=["classes", "numbers"])
@pytest.mark.parametrize("way", ["stratified", "folds", "groups"])
def test_a_trial_with_a_split_of_its_own_learns_nothing_from_its_other_rows(way: str, classes: bool) -> None:
    dataset, data = made(way, classes=classes), table(**WAYS[way])
    common = split(dataset, data)
    drawn = Reshuffled.of(dataset, common, data, 3)
    for trial in (0, 1):
        splits = drawn.splits(trial)
        for replica in splits.replicas:
            rows = np.setdiff1d(np.arange(SIZE), replica.train_idx)
            target_N = dataset.target_N.copy()
            target_N[rows] = 0 if classes else 1e6
            other = replace(overwritten(dataset, rows), target_N=target_N)
            again = Reshuffled.of(other, common, data, 3)
            before, after = (of.fit(replica.train_idx) for of in (drawn, again))
            # The columns are those of all rows outside the test part; what is known of them, that of the training part.
            assert "other" not in str(after.categories)
            assert replace(after, categories=(), input_shape=()) == replace(before, categories=(), input_shape=())
            # Those that the training part does not know have a column without a name.
            known = [[set(names) - {None} for names in of.categories] for of in (before, after)]
            assert known[0] == known[1]
