"""Rows that stay together: never on two sides, and balanced as well as they allow or refused with the class."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from hpo.data.dataset import Dataset
from hpo.data.parts.splits import Splits, split_data
from hpo.data.parts.together import draw_together, units_of
from hpo.errors import DataError
from hpo.studyfile.records import DataTable
from tests.data.parts.made import dataset, table

FUZZED = 500
SHARE = 0.2
REASON = re.compile(r'class "[a-e]" of made|has only \d+ (groups|examples with different)|a part of made empty')
"""What a refusal says: the class, or that there are too few units or rows for so many parts."""


def fuzzed(seed: int) -> tuple[Dataset, DataTable, NDArray[np.int64]]:
    """A data set of few rows with rare classes, its table, and the unit of each row: by turns with groups, with
    repeated rows, and with both."""
    rng = np.random.default_rng(seed)
    size, kinds = int(rng.integers(8, 120)), int(rng.integers(2, 6))
    units = int(rng.integers(2, max(3, size // 2)))
    skew = float(rng.choice([0.3, 2, 20]))
    unit_N = rng.choice(units, size, p=rng.dirichlet(np.full(units, skew)))
    target_N = unit_N % kinds if rng.random() < 0.3 else rng.choice(kinds, size, p=rng.dirichlet(np.full(kinds, skew)))
    target_N = np.unique(target_N, return_inverse=True)[1]
    folds = None if rng.random() < 0.5 else int(rng.integers(2, 5))
    settings = {"test": float(rng.choice([0.0, 0.1, 0.25])), "folds": folds}
    match seed % 3:
        case 0:
            return dataset(target_N, group=unit_N), table(**settings, group="g"), unit_N
        case 1:
            return dataset(target_N, x=unit_N), table(**settings), unit_N
        case _:
            repeated_N = np.where(rng.random(size) < 0.05, -1, np.arange(size))
            made = dataset(target_N, x=repeated_N, group=unit_N)
            return made, table(**settings, group="g"), units_of(unit_N, np.unique(repeated_N, return_inverse=True)[1])


def parts(splits: Splits) -> list[NDArray[np.int64]]:
    """The parts that the units are divided into."""
    first = splits.replicas[0]
    validated = [replica.valid_idx for replica in splits.replicas]
    train = [first.train_idx] if len(splits.replicas) == 1 else []
    return [part for part in (splits.test_idx, *validated, *train) if len(part)]


def missed(made: Dataset, divided: list[NDArray[np.int64]], shares: list[float]) -> float:
    """How far the classes' counts are from their shares of the parts: chi-squared, also of the parts' sizes."""
    whole_G = np.bincount(made.target_N.astype(np.int64)).astype(float)
    missed = 0.0
    for idx, share in zip(divided, shares, strict=True):
        held_G = np.bincount(made.target_N[idx].astype(np.int64), minlength=len(whole_G))
        missed += ((held_G - share * whole_G) ** 2 / (share * whole_G)).sum()
        missed += (len(idx) - share * made.size) ** 2 / (share * made.size)
    return float(missed)


def split_or_reason(made: Dataset, data: DataTable, seed: int) -> Splits | str:
    try:
        return split_data(made, data, seed)
    except DataError as error:
        return str(error)


@pytest.mark.parametrize("first", range(0, FUZZED, FUZZED // 4))
def test_500_fuzzed_sets_are_divided_by_units_or_refused_with_the_class(first: int) -> None:
    refused = 0
    for seed in range(first, first + FUZZED // 4):
        made, data, unit_N = fuzzed(seed)
        splits = split_or_reason(made, data, seed)
        if isinstance(splits, str):
            refused += 1
            assert REASON.search(splits), splits
            continue
        divided = parts(splits)
        assert sorted(np.concatenate(divided).tolist()) == list(range(made.size))
        for idx in divided:
            assert set(made.target_N[idx]) == set(made.target_N), "every class is in every part"
        for one, other in itertools.combinations(divided, 2):
            assert not set(unit_N[one]) & set(unit_N[other])
        assert splits.repeats.across == 0
    assert 0.1 < refused / (FUZZED // 4) < 0.7, "both outcomes are tried"


def test_a_class_is_refused_only_where_no_division_has_it_everywhere() -> None:
    """All divisions of a few units are tried: classes reach every part where they can, most often by the best one."""
    best = tried = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(2, 4))
        units = int(rng.integers(count, 7))
        unit_N = np.concatenate([np.arange(units), rng.integers(0, units, int(rng.integers(0, 40)))])
        class_N = unit_N % 3 if rng.random() < 0.4 else rng.integers(0, 3, len(unit_N))
        class_N = np.unique(class_N, return_inverse=True)[1]
        shares = [1 - SHARE, SHARE] if count == 2 else [1 / 3] * 3
        part_N, lacking = draw_together(unit_N, class_N, shares, [1] * count, seed)
        made = dataset(class_N)

        def cost(part_N: NDArray[np.int64], made: Dataset = made, shares: list[float] = shares) -> tuple[int, float]:
            divided = [np.flatnonzero(part_N == part) for part in range(len(shares))]
            lacks = sum(len(set(made.target_N) - set(made.target_N[idx])) for idx in divided)
            return lacks, missed(made, divided, shares)

        found = cost(part_N)
        least = min(cost(np.array(chosen)[unit_N]) for chosen in itertools.product(range(count), repeat=units))
        assert found[0] == least[0]
        assert (len(lacking) > 0) == (found[0] > 0)
        tried += 1
        best += found[1] <= least[1] + 1e-9
    assert best >= 0.95 * tried


def test_folds_of_groups_are_balanced_at_least_as_well_as_those_of_scikit_learn() -> None:
    compared = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        group_N = rng.choice(30, 200, p=rng.dirichlet(np.full(30, 2.0)))
        target_N = rng.choice(3, 200, p=[0.6, 0.3, 0.1])
        made = dataset(target_N, group=group_N)
        splits = split_data(made, table(test=0.0, folds=4, group="g"), seed)
        theirs = StratifiedGroupKFold(4, shuffle=True, random_state=seed).split(target_N, target_N, group_N)
        ours, other = [replica.valid_idx for replica in splits.replicas], [valid for _, valid in theirs]
        assert missed(made, ours, [0.25] * 4) <= missed(made, other, [0.25] * 4) + 1e-9
        compared += 1
    assert compared == 20


def test_a_class_in_too_few_groups_is_named() -> None:
    target, group = [0] * 30 + [1] * 10, [*range(30), *[30, 31] * 5]
    with pytest.raises(DataError) as caught:
        split_data(dataset(target, group=group), table(group="patient"), 0)
    assert 'class "b" of made is in 2 groups of "patient", which cannot be divided' in str(caught.value)
    assert "in each of 3 parts with test = 0.2 and validation = 0.2." in str(caught.value)
    split_data(dataset(target, group=group), table(group="patient", test=0.0), 0)
    with pytest.raises(DataError, match=r'class "b" of made is in 2 examples with different features.* data\.split'):
        split_data(dataset(target, x=group), table(), 0)
    with pytest.raises(DataError, match=r'made has only 2 groups of "g", and test.* make 3 parts'):
        split_data(dataset(np.arange(40) * 1.5, classes=False, group=np.arange(40) % 2), table(group="g"), 0)
    tied = dataset([n % 2 for n in range(40)], x=np.arange(40) // 2 % 2, group=np.arange(40) // 8)
    with pytest.raises(DataError, match=r'class "a" of made is in 5 groups of "g", tied to 1 by rows with the same'):
        split_data(tied, table(group="g"), 0)


def test_a_few_repeated_rows_leave_the_shares_as_they_are() -> None:
    x = [*range(990), *range(10)]
    splits = split_data(dataset([n % 2 for n in range(1000)], x=x), table(), 0)
    shares = [record["share"] for record in splits.balance]
    assert max(shares) - min(shares) < 0.01
    assert [len(part) for part in parts(splits)] == pytest.approx([200, 200, 600], abs=2)
    assert splits.repeats.rows == 10


@settings(deadline=None, max_examples=60)
@given(
    target=st.lists(st.floats(-1e6, 1e6), min_size=20, max_size=120),
    groups=st.integers(5, 20),
    folds=st.none() | st.integers(2, 3),
    seed=st.integers(0, 1000),
)
def test_groups_of_a_quantity_stay_together(target: list[float], groups: int, folds: int | None, seed: int) -> None:
    group_N = np.arange(len(target)) % groups
    splits = split_data(dataset(target, classes=False, group=group_N), table(group="g", folds=folds), seed)
    divided = parts(splits)
    assert sorted(np.concatenate(divided).tolist()) == list(range(len(target)))
    assert sum(len(set(group_N[idx])) for idx in divided) == groups


def test_rare_numbers_reach_every_part_though_rows_repeat() -> None:
    target = [0.0] * 57 + [5.5, 7.25, 30.5]
    splits = split_data(dataset(target, classes=False, x=[n // 2 for n in range(57)] + [100, 101, 102]), table(), 4)
    assert all(np.ptp(np.array(target)[part]) > 0 for part in parts(splits))


def test_units_join_rows_through_others() -> None:
    first, second = np.array([0, 0, 1, 1, 2, 3]), np.array([5, 6, 6, 7, 8, 8])
    assert units_of(first, second).tolist() == [0, 0, 0, 0, 4, 4]
    assert units_of(first).tolist() == [0, 0, 2, 2, 4, 5]
