"""How often each class, or range of the target, occurs in each part: what is stored and shown of a split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal, TypedDict

import numpy as np

from hpo.data.parts.strata import IndexArray, Strata

if TYPE_CHECKING:
    from hpo.data.parts.splits import Replica

Role = Literal["all", "test", "train", "validation"]
"""What a part of the examples is for."""


class BalanceRecord(TypedDict):
    """How often one group (class, or range of the target) occurs in one part, as it is stored."""

    part: str
    """Name for people: `all`, `test`, `train`, `validation`; with folds `fold 1 train`, `fold 1 validation`, ..."""
    role: Role
    fold: int | None
    """Fold of cross-validation, 0-based; None for a hold-out, and for parts that all folds share."""
    group: str
    count: int
    share: float
    """Of the part's examples."""


def balance_of(test_idx: IndexArray, replicas: Sequence[Replica], groups: Strata) -> Iterator[BalanceRecord]:
    """The records of all parts; `replicas`: one for each fold."""
    parts: list[tuple[Role, int | None, IndexArray]] = [("all", None, np.arange(len(groups.group_N)))]
    if len(test_idx):
        parts.append(("test", None, test_idx))
    for replica in replicas:
        fold = replica.fold if len(replicas) > 1 else None
        parts += [("train", fold, replica.train_idx), ("validation", fold, replica.valid_idx)]
    for role, fold, idx in parts:
        part = role if fold is None else f"fold {fold + 1} {role}"
        counts = np.bincount(groups.group_N[idx], minlength=len(groups.names))
        for name, count in zip(groups.names, counts.tolist(), strict=True):
            yield BalanceRecord(part=part, role=role, fold=fold, group=name, count=count, share=count / len(idx))
