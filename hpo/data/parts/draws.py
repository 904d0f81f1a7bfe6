"""Stratified draws: each group has its share of what is drawn, up to rounding.

The examples drawn are those of scikit-learn's `StratifiedShuffleSplit` and `StratifiedKFold` (shuffled) of the same
seed; tests compare them. Importing these would take longer than all that a command does before it trains.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hpo.data.parts.strata import IndexArray


def shuffle_split(group_N: IndexArray, size: int, seed: int) -> tuple[IndexArray, IndexArray]:
    """Draws `size` of N examples at random. Returns the ascending positions of those left and those drawn."""
    random = np.random.RandomState(seed)
    _, group_N, count_G = np.unique(group_N, return_inverse=True, return_counts=True)
    left_G = _shares(count_G, len(group_N) - size, random)
    drawn_G = _shares(count_G - left_G, size, random)
    left, drawn = [], []
    for group, (count, stay, go) in enumerate(zip(count_G, left_G, drawn_G, strict=True)):
        member_C = np.flatnonzero(group_N == group)[random.permutation(count)]
        left.append(member_C[:stay])
        drawn.append(member_C[stay : stay + go])
    return np.sort(np.concatenate(left)), np.sort(np.concatenate(drawn))


def k_fold(group_N: IndexArray, folds: int, seed: int) -> IndexArray:
    """The fold of each of N examples, of each group as many in one fold as in another, or one more."""
    random = np.random.RandomState(seed)
    _, first_G, group_N = np.unique(group_N, return_index=True, return_inverse=True)
    order_G = np.argsort(first_G)  # groups in the order in which they appear
    turn_N = np.repeat(np.arange(len(order_G)), np.bincount(group_N)[order_G])
    count_FG = np.array([np.bincount(turn_N[fold::folds], minlength=len(order_G)) for fold in range(folds)])
    fold_N = np.empty(len(group_N), np.int64)
    for group, count_F in zip(order_G, count_FG.T, strict=True):
        fold_C = np.arange(folds).repeat(count_F)
        random.shuffle(fold_C)
        fold_N[group_N == group] = fold_C
    return fold_N


def _shares(count_G: IndexArray, size: int, random: np.random.RandomState) -> IndexArray:
    """How many of each group are drawn if `size` are drawn in all: the exact share rounded down, or up where most is
    left over; chance decides between equal ones."""
    exact_G: NDArray[np.float64] = count_G / count_G.sum() * size
    share_G = np.floor(exact_G)
    over_G = exact_G - share_G
    missing = int(size - share_G.sum())
    for over in np.unique(over_G)[::-1]:
        if missing <= 0:
            break
        (equal,) = np.where(over_G == over)
        up = random.choice(equal, size=min(len(equal), missing), replace=False)
        share_G[up] += 1
        missing -= len(up)
    return share_G.astype(np.int64)
