"""Splits: stratified whatever the classes, reproducible, and refused when they cannot be."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hpo.conventions import FIRST, NEWEST
from hpo.data.dataset import Dataset, no_categories
from hpo.data.parts.splits import Replica, split_data, trial_splits
from hpo.data.parts.verify import verify_splits
from hpo.errors import DataError
from hpo.studyfile.records import DataTable
from tests.data.parts import made

SHARES = st.floats(0.05, 0.45)


def classes(*counts: int) -> Dataset:
    """A data set with so many members of classes a, b, c ..."""
    target_N = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    return _dataset(target_N.astype(np.int64), tuple("abcdefghijkl"[: len(counts)]))


def numbers(target: list[float]) -> Dataset:
    return _dataset(np.array(target, np.float64), ())


def _dataset(target_N, class_names) -> Dataset:
    return Dataset(
        name="made",
        kind="tabular",
        task="classification" if class_names else "regression",
        numeric=np.arange(len(target_N), dtype=np.float64)[:, None],
        numeric_names=("x",),
        categorical_NK=no_categories(len(target_N)),
        categorical_names=(),
        target_N=target_N,
        target_name="y",
        class_names=class_names,
    )


def table(**values: object) -> DataTable:
    return DataTable.model_validate({"dataset": "made", **values})


def split_or_skip(dataset, data, seed):
    try:
        return split_data(dataset, data, seed)
    except DataError:
        assume(False)


@settings(deadline=None)
@given(
    counts=st.lists(st.integers(5, 120), min_size=2, max_size=8),
    test=st.just(0.0) | SHARES,
    validation=SHARES,
    folds=st.none() | st.integers(2, 6),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_hold_the_classes_in_their_shares(counts, test, validation, folds, seed):
    dataset = classes(*counts)
    splits = split_or_skip(dataset, table(test=test, validation=validation, folds=folds), seed)
    total = sum(counts)
    assert len(splits.test_idx) == round(test * total)
    for replica in splits.replicas:
        if folds is None:
            assert len(replica.valid_idx) == round(validation * total)
        parts = [splits.test_idx, replica.train_idx, replica.valid_idx]
        assert sorted(np.concatenate(parts).tolist()) == list(range(total))
        for part in parts:
            assert (np.diff(part) > 0).all()
            if len(part):
                held = np.bincount(dataset.target_N[part], minlength=len(counts))
                exact = np.array(counts) * len(part) / total
                assert (held > 0).all()
                assert (np.abs(held - exact) < 3).all()
    if folds is not None:
        validated = np.concatenate([replica.valid_idx for replica in splits.replicas])
        assert sorted(np.concatenate([validated, splits.test_idx]).tolist()) == list(range(total))


@settings(deadline=None)
@given(counts=st.lists(st.integers(10, 40), min_size=2, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_exact_shares_where_the_counts_allow_them(counts, seed):
    counts = [10 * count for count in counts]
    splits = split_data(classes(*counts), table(test=0.2, validation=0.1), seed)
    for row in splits.balance:
        assert row["share"] == pytest.approx(counts["abcde".index(row["group"])] / sum(counts), abs=1e-12)


@settings(deadline=None)
@given(
    target=st.lists(st.floats(-1e6, 1e6), min_size=12, max_size=200),
    folds=st.none() | st.integers(2, 5),
    seed=st.integers(0, 1000),
)
def test_regression_is_stratified_on_quantile_bins(target, folds, seed):
    splits = split_data(numbers(target), table(folds=folds), seed)
    groups = {row["group"] for row in splits.balance}
    assert 1 <= len(groups) <= 10
    of_all = {row["group"]: row["share"] for row in splits.balance if row["part"] == "all"}
    for row in splits.balance:
        size = row["count"] / row["share"]
        assert abs(row["count"] - of_all[row["group"]] * size) < 3


def test_regression_parts_have_like_means():
    target = np.random.default_rng(0).lognormal(size=500)
    splits = split_data(numbers(target.tolist()), table(), seed=0)
    assert len({row["group"] for row in splits.balance}) == 10
    ranks = target.argsort().argsort() / 500
    for part in (splits.test_idx, splits.replicas[0].train_idx, splits.replicas[0].valid_idx):
        assert ranks[part].mean() == pytest.approx(0.5, abs=0.02)


def test_equal_targets_share_a_bin():
    splits = split_data(numbers([0.0] * 90 + [1.0, 2.0, 3.0, 4.0, 5.0] * 2), table(), seed=0)
    groups = [row["group"] for row in splits.balance if row["part"] == "all"]
    assert groups == ["bin 1: 0 to 0", "bin 2: 1 to 5"]


@settings(deadline=None)
@given(
    zeros=st.integers(10, 150),
    others=st.lists(st.floats(-1e3, 1e3).filter(bool), min_size=1, max_size=60, unique=True),
    test=st.just(0.0) | SHARES,
    validation=SHARES,
    folds=st.none() | st.integers(2, 6),
    seed=st.integers(0, 1000),
)
def test_rare_numbers_are_in_every_part(zeros, others, test, validation, folds, seed):
    """Where there are enough of them and the parts have room, no part holds one value alone."""
    assume(len(others) <= zeros)
    target = np.array([0.0] * zeros + others)
    splits = split_or_skip(numbers(target.tolist()), table(test=test, validation=validation, folds=folds), seed)
    parts = [splits.test_idx] if test and len(splits.test_idx) else []
    parts += [part for replica in splits.replicas for part in (replica.valid_idx, replica.train_idx)]
    assume(min(map(len, parts)) > 1)
    assume(len(others) >= (folds or 2) + bool(test))
    if len(others) >= 2:
        assert all(len(np.unique(target[part])) > 1 for part in parts)


def test_rare_numbers_have_a_group_of_their_own():
    splits = split_data(numbers([0.0] * 57 + [5.5, 7.25, 30.5]), table(), seed=4)
    counts = {(row["part"], row["group"]): row["count"] for row in splits.balance}
    rare = "others, bin 1: 5.5 to 30.5"
    assert {part: count for (part, group), count in counts.items() if group == rare} == {
        "all": 3,
        "test": 1,
        "train": 1,
        "validation": 1,
    }
    many = split_data(numbers([0.0] * 950 + list(range(1, 51))), table(), seed=0)
    assert len({row["group"] for row in many.balance}) == 11, "ten bins of the others beside the zeros"


@pytest.mark.parametrize(
    ("target", "values"),
    [
        (list(range(100)), {}),
        (list(range(8)), {}),
        ([0.0] * 90 + [1.0, 2.0, 3.0, 4.0, 5.0] * 2, {}),
        ([0.0, 1.0] * 20, {"folds": 4}),
        ([0.0] * 57 + [1.0, 2.0], {}),
    ],
    ids=["spread", "few", "two bins", "two values", "fewer than parts"],
)
def test_the_split_of_other_numbers_is_as_it_always_was(target, values):
    dataset = numbers([float(value) for value in target])
    now, before = (split_data(dataset, table(**values), 3, conventions=c) for c in (NEWEST, FIRST))
    assert now.balance == before.balance
    assert np.array_equal(now.test_idx, before.test_idx)
    for one, other in zip(now.replicas, before.replicas, strict=True):
        assert np.array_equal(one.valid_idx, other.valid_idx)


def test_one_seed_gives_one_split():
    dataset, data = classes(40, 60), table()
    first, again, other = (split_data(dataset, data, seed) for seed in (1, 1, 2))
    assert np.array_equal(first.test_idx, again.test_idx)
    assert np.array_equal(first.replicas[0].train_idx, again.replicas[0].train_idx)
    assert not np.array_equal(first.test_idx, other.test_idx)
    assert not np.array_equal(first.replicas[0].valid_idx, other.replicas[0].valid_idx)


def test_the_test_part_does_not_depend_on_the_validation():
    dataset = classes(40, 60)
    parts = [split_data(dataset, table(**values), 3).test_idx for values in ({}, {"validation": 0.3}, {"folds": 4})]
    assert all(np.array_equal(part, parts[0]) for part in parts)


def test_repeats_keep_the_split():
    splits = split_data(classes(40, 60), table(folds=3, repeats=2), seed=0)
    assert [(replica.repeat, replica.fold) for replica in splits.replicas] == [
        (0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2),
    ]  # fmt: skip
    for first, second in zip(splits.replicas[:3], splits.replicas[3:], strict=True):
        assert first.train_idx is second.train_idx
        assert first.valid_idx is second.valid_idx


def test_the_balance_names_each_part_and_class():
    splits = split_data(classes(40, 60), table(repeats=2), seed=0)
    assert splits.balance[:4] == (
        {"part": "all", "role": "all", "fold": None, "group": "a", "count": 40, "share": 0.4},
        {"part": "all", "role": "all", "fold": None, "group": "b", "count": 60, "share": 0.6},
        {"part": "test", "role": "test", "fold": None, "group": "a", "count": 8, "share": 0.4},
        {"part": "test", "role": "test", "fold": None, "group": "b", "count": 12, "share": 0.6},
    )
    assert [row["part"] for row in splits.balance[4::2]] == ["train", "validation"]
    folds = split_data(classes(40, 60), table(test=0.0, folds=2), seed=0)
    assert [row["part"] for row in folds.balance[::2]] == [
        "all", "fold 1 train", "fold 1 validation", "fold 2 train", "fold 2 validation",
    ]  # fmt: skip
    assert [(row["role"], row["fold"]) for row in folds.balance[::2]] == [
        ("all", None), ("train", 0), ("validation", 0), ("train", 1), ("validation", 1),
    ]  # fmt: skip


def test_without_a_test_part():
    splits = split_data(classes(40, 60), table(test=0.0), seed=0)
    assert len(splits.test_idx) == 0
    assert len(splits.replicas[0].train_idx) == 80


@pytest.mark.parametrize("seed", range(5))
def test_whether_a_class_is_too_small_does_not_depend_on_luck(seed):
    with pytest.raises(DataError) as caught:
        split_data(classes(46, 50, 4), table(), seed)
    assert (
        'class "c" of made has 4 examples and needs at least 5 to be in every part'
        " with test = 0.2 and validation = 0.2" in str(caught.value)
    )
    assert "a larger data.test (or 0)" in str(caught.value)
    split_data(classes(45, 50, 5), table(), seed)


def test_a_class_too_small_for_the_folds():
    with pytest.raises(DataError, match=r'class "b" of made has 1 example and needs at least 10 .* folds = 10\.'):
        split_data(classes(99, 1), table(test=0.0, folds=10), seed=0)
    assert len(split_data(classes(10, 9), table(test=0.0, folds=9), seed=0).replicas) == 9
    with pytest.raises(DataError, match=r"\(also too small: b\)\. Set fewer data\.folds, add examples"):
        split_data(classes(90, 6, 4), table(test=0.0, folds=10), seed=0)


def test_many_small_numeric_classes_may_be_a_quantity():
    dataset = replace(classes(10, 1), class_names=("0.5", "1.5"))
    with pytest.raises(DataError, match=r'set data\.task = "regression"'):
        split_data(dataset, table(), seed=0)


@pytest.mark.parametrize(
    ("dataset", "values", "message"),
    [
        (classes(30, 30), {"test": 0.5, "validation": 0.5}, "leave nothing to train on"),
        (classes(2, 2), {"test": 0.1}, "leave a part of made empty: it has only 4 examples"),
        (classes(2, 2), {"test": 0.0, "folds": 9}, "leave a part of made empty"),
    ],
)
def test_too_few_examples(dataset, values, message):
    with pytest.raises(DataError, match=message):
        split_data(dataset, table(**values), seed=0)


def test_a_regression_needs_no_more_than_one_example_a_part():
    splits = split_data(numbers([4, 3, 2, 1]), table(test=0.25, validation=0.25), seed=0)
    assert [row["count"] for row in splits.balance] == [4, 1, 2, 1]


GROUPS = np.array([0, 1] * 20)


def indices(*ranges: range) -> np.ndarray:
    return np.concatenate([np.asarray(part, np.int64) for part in ranges])


@pytest.mark.parametrize(
    ("test", "train", "valid", "message"),
    [
        (indices(range(8)), indices(range(7, 32)), indices(range(32, 40)), "exactly one part"),
        (indices(range(8)), indices(range(8, 31)), indices(range(32, 40)), "exactly one part"),
        (indices(range(0, 16, 2)), indices(range(1, 16, 2), range(16, 32)), indices(range(32, 40)), "every group"),
        (indices(range(8)), indices(range(8, 40)), indices(range(0)), "must not be empty"),
        (indices(range(8)), indices(range(8, 24, 2), range(32, 40)), indices(range(9, 24, 2), range(24, 32)), "misses"),
    ],
)
def test_verify_notices_a_bad_split(test, train, valid, message):
    replica = Replica(repeat=0, fold=0, train_idx=train, valid_idx=valid)
    with pytest.raises(AssertionError, match=message):
        verify_splits(test, (replica,), GROUPS)


def test_verify_notices_overlapping_folds():
    replica = Replica(repeat=0, fold=0, train_idx=indices(range(20)), valid_idx=indices(range(20, 40)))
    with pytest.raises(AssertionError, match="folds must not overlap"):
        verify_splits(indices(range(0)), (replica, replace(replica, fold=1)), GROUPS)


@pytest.mark.parametrize("values", [{}, {"folds": 3}, {"group": "g"}, {"group": "g", "folds": 3}])
def test_each_trial_may_have_a_split_of_its_own(values):
    group = np.random.default_rng(0).integers(0, 40, 200) if "group" in values else None
    dataset, data = made.dataset([n % 3 for n in range(200)], group=group), table(repeats=2, **values)
    of_trial, common = trial_splits(dataset, data, 7), split_data(dataset, data, 7)
    found = [of_trial(trial) for trial in range(6)]
    assert len({splits.fingerprint for splits in (*found, common)}) == 7
    for trial, splits in enumerate(found):
        assert np.array_equal(splits.test_idx, common.test_idx)
        assert len(splits.replicas) == len(common.replicas)
        assert trial_splits(dataset, data, 7)(trial).fingerprint == splits.fingerprint
        assert {row["count"] > 0 for row in splits.balance} == {True}
    assert trial_splits(dataset, data, 8)(0).fingerprint != found[0].fingerprint


def test_parts_that_are_given_or_follow_the_time_are_those_of_every_trial():
    dataset = made.dataset([n % 3 for n in range(90)])
    later = replace(dataset, time_N=np.arange(90.0))
    partly = replace(dataset, part_N=np.repeat([0, 1], [70, 20]))
    for fixed, data in ((later, table(time="t")), (later, table(time="t", folds=3)), (partly, table())):
        common = split_data(fixed, data, 0)
        assert trial_splits(fixed, data, 0)(5).fingerprint == common.fingerprint
    tested = replace(dataset, part_N=np.repeat([0, 2], [70, 20]))
    splits = trial_splits(tested, table(), 0)(5)
    assert splits.test_idx.tolist() == list(range(70, 90))
    assert splits.fingerprint != split_data(tested, table(), 0).fingerprint


def test_the_fingerprint_tells_splits_apart():
    dataset = classes(40, 60)
    common = split_data(dataset, table(), 0)
    assert common.fingerprint == split_data(dataset, table(repeats=3), 0).fingerprint
    others = [split_data(dataset, data, 0) for data in (table(test=0.1), table(folds=3), table(validation=0.3))]
    others.append(split_data(dataset, table(), 1))
    assert len({splits.fingerprint for splits in (common, *others)}) == 5
