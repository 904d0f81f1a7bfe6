"""Parts that follow the time: never earlier than what was trained on, ties on one side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from hpo.data.parts.splits import split_data
from hpo.errors import DataError
from tests.data.parts.made import dataset, table


@settings(deadline=None)
@given(
    time=st.lists(st.integers(0, 40), min_size=20, max_size=150),
    test=st.sampled_from([0.0, 0.1, 0.3]),
    folds=st.none() | st.integers(2, 4),
)
def test_parts_follow_the_time(time: list[int], test: float, folds: int | None) -> None:
    made = dataset(np.arange(len(time)) * 0.5, classes=False, time=time)
    assert made.time_N is not None
    try:
        splits = split_data(made, table(test=test, folds=folds, time="t"), 0)
    except DataError as error:
        needed = (folds or 1) + 1 + (test > 0)
        assert f"has {len(set(time))} different times" in str(error)  # noqa: PT017
        assert f"need at least {needed}" in str(error)  # noqa: PT017
        assert len(set(time)) < needed
        return
    for replica in splits.replicas:
        assert made.time_N[replica.train_idx].max() < made.time_N[replica.valid_idx].min()
        if test:
            assert made.time_N[replica.valid_idx].max() < made.time_N[splits.test_idx].min()
    last = splits.replicas[-1]
    whole = np.concatenate([last.train_idx, last.valid_idx, splits.test_idx])
    assert sorted(whole.tolist()) == list(range(len(time)))


def test_shares_are_exact_where_all_times_differ() -> None:
    time = np.random.default_rng(0).permutation(100)
    splits = split_data(dataset([n % 2 for n in range(100)], time=time), table(time="t"), 0)
    assert sorted(time[splits.test_idx]) == list(range(80, 100))
    assert sorted(time[splits.replicas[0].valid_idx]) == list(range(60, 80))
    assert splits.balance[0]["count"] == 50


def test_folds_are_the_windows_of_scikit_learn() -> None:
    time = np.random.default_rng(0).permutation(103)
    splits = split_data(dataset([n % 2 for n in range(103)], time=time), table(time="t", test=0.0, folds=4), 0)
    for replica, (train, valid) in zip(splits.replicas, TimeSeriesSplit(4).split(time), strict=True):
        assert sorted(time[replica.train_idx]) == train.tolist()
        assert sorted(time[replica.valid_idx]) == valid.tolist()


def test_a_class_that_comes_too_late_is_named() -> None:
    target = [0, 1] * 35 + [2] * 10
    with pytest.raises(DataError, match=r'class "c" of made is in no row to train on.* It comes too late'):
        split_data(dataset(target, time=range(80)), table(time="t", test=0.1, validation=0.1), 0)
    split_data(dataset(target, time=range(80)), table(time="t", test=0.0, validation=0.1), 0)


def test_rows_that_come_again_later_are_counted() -> None:
    splits = split_data(dataset([0, 1] * 20, x=np.arange(40) % 30, time=range(40)), table(time="t"), 0)
    assert (splits.repeats.rows, splits.repeats.across) == (10, 10)
