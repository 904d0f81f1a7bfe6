"""What every split guarantees, checked each time one is made: mistakes of this program, never of the user's."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo.data.parts.strata import IndexArray

if TYPE_CHECKING:
    from hpo.data.parts.splits import Replica


def verify_splits(
    test_idx: IndexArray, replicas: tuple[Replica, ...], group_N: IndexArray, *, rare: bool = False
) -> None:
    """Assert the guarantees of a split: each example is in exactly one part, and each group is in every part by its
    share.

    A count may differ from its exact share by less than 1 for each rounding in drawing the part; with a `rare` group by
    more, because it must be in every part.
    """
    _verify_shares("test", test_idx, group_N, math.inf if rare else 1)
    folds = verify_whole(test_idx, replicas, len(group_N))
    for replica in replicas:
        roundings = math.inf if rare else 2 if folds == 1 else 3
        _verify_shares("train", replica.train_idx, group_N, roundings)
        _verify_shares("validation", replica.valid_idx, group_N, roundings)


def verify_whole(test_idx: IndexArray, replicas: tuple[Replica, ...], size: int) -> int:
    """Assert that each of so many examples is in exactly one part, and that it is validated in one fold. Returns the
    number of folds."""
    for replica in replicas:
        parts = np.concatenate([test_idx, replica.train_idx, replica.valid_idx])
        assert np.array_equal(np.sort(parts), np.arange(size)), "each example must be in exactly one part"
        assert len(replica.train_idx), "the train part must not be empty"
        assert len(replica.valid_idx), "the validation part must not be empty"
    folds = max(replica.fold for replica in replicas) + 1
    if folds > 1:
        validated = np.concatenate([replica.valid_idx for replica in replicas if replica.repeat == 0])
        assert len(np.unique(validated)) == len(validated), "folds must not overlap"
        assert len(validated) + len(test_idx) == size, "each example must be in the test part or a fold"
    return folds


def verify_together(test_idx: IndexArray, replicas: tuple[Replica, ...], unit_N: IndexArray) -> None:
    """Assert that no unit, of examples that stay together, is in two parts."""
    for replica in replicas:
        parts = [np.unique(unit_N[idx]) for idx in (test_idx, replica.train_idx, replica.valid_idx)]
        assert len(np.unique(np.concatenate(parts))) == sum(map(len, parts)), "no unit must be in two parts"


def _verify_shares(part: str, idx: IndexArray, group_N: IndexArray, roundings: float) -> None:
    if not len(idx):
        assert part == "test", f"the {part} part must not be empty"
        return
    whole = np.bincount(group_N)
    count = np.bincount(group_N[idx], minlength=len(whole))
    assert count.min() > 0, f"every group must be in the {part} part"
    miss = np.abs(count - whole * (len(idx) / len(group_N))).max()
    assert miss < roundings + 1e-6, f"the {part} part misses a group's share by {miss} examples"
