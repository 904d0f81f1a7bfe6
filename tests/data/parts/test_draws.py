"""Our draws are scikit-learn's."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold, StratifiedShuffleSplit

from hpo.data.parts.draws import k_fold, shuffle_split

GROUPS = {
    "even": np.arange(120) % 4,
    "uneven": np.random.default_rng(0).choice(5, 997, p=[0.4, 0.3, 0.2, 0.05, 0.05]),
    "sorted": np.repeat([3, 1, 7], [50, 30, 21]),
    "one": np.zeros(33, np.int64),
    "many": np.random.default_rng(1).integers(0, 60, 3000),
}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_shuffle_split(name: str, seed: int) -> None:
    group_N = GROUPS[name]
    for size in (len(group_N) // 4, len(group_N) // 3, len(group_N) // 2 + 1):
        splitter = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
        expected = next(splitter.split(group_N, group_N))
        for ours, theirs in zip(shuffle_split(group_N, size, seed), expected, strict=True):
            np.testing.assert_array_equal(ours, np.sort(theirs))


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
@pytest.mark.parametrize("folds", [2, 3, 7, 10])
def test_k_fold(name: str, seed: int, folds: int) -> None:
    group_N = GROUPS[name]
    fold_N = k_fold(group_N, folds, seed)
    expected = StratifiedKFold(folds, shuffle=True, random_state=seed).split(group_N, group_N)
    for fold, (_, validated) in enumerate(expected):
        np.testing.assert_array_equal(np.flatnonzero(fold_N == fold), validated)
