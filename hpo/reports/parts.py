"""The parts that a study's examples are divided into, as recorded in the database: names, purposes and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class BalanceRow:
    """One class (or quantile group of the target) in one part of the data."""

    part: str
    """Name for people."""
    role: str
    """What the part is for: `all`, `test`, `train` or `validation`."""
    fold: int | None
    """Fold of cross-validation, from 0; None for a hold-out, and for parts that all folds share."""
    group: str
    count: int
    """Examples."""
    share: float
    """Of the part's examples."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """Sizes of the parts that scores are measured on."""

    validation: tuple[int, ...] = ()
    """Examples of each group, over all folds; empty if not recorded."""
    test: tuple[int, ...] = ()
    """Examples of each group; empty without a test part."""
    folds: int = 1
    """1 for a hold-out."""


def balance_rows(records: Iterable[Mapping[str, Any]]) -> tuple[BalanceRow, ...]:
    """The split balance as records. Earlier versions recorded only a part's name, from which role and fold are read."""
    return tuple(BalanceRow(**_purpose(str(record["part"])) | dict(record)) for record in records)


def parts_of(rows: Sequence[BalanceRow]) -> Parts:
    """The sizes, from the balance."""
    return Parts(
        validation=_by_group(rows, "validation"),
        test=_by_group(rows, "test"),
        folds=max(1, len({row.fold for row in rows if row.role == "validation"})),
    )


def _by_group(rows: Sequence[BalanceRow], role: str) -> tuple[int, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        if row.role == role:
            counts[row.group] = counts.get(row.group, 0) + row.count
    return tuple(counts.values())


def _purpose(part: str) -> dict[str, Any]:
    numbered = re.fullmatch(r"fold (\d+) (\w+)", part)
    return {"role": numbered[2], "fold": int(numbered[1]) - 1} if numbered else {"role": part, "fold": None}
