"""The parts that a study's examples are divided into, as recorded in the database: names, purposes and sizes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

RESHUFFLED = "each trial has training and validation parts of its own, drawn like these, which the baselines have"


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


def split_text(rows: Sequence[BalanceRow], *, reshuffled: bool = False) -> str:
    """`1,079 train, 359 validation, 359 test; shares differ by at most 0.2 percentage points`; empty if not recorded.
    The difference is the largest of a group's share between two parts. `reshuffled`: each trial has a split of its
    own."""
    sizes: dict[str, int] = {}
    shares: dict[str, list[float]] = {}
    roles: dict[str, str] = {}
    for row in rows:
        sizes[row.part] = sizes.get(row.part, 0) + row.count
        roles[row.part] = row.role
        shares.setdefault(row.group, []).append(row.share)
    said = []
    for role in ("train", "validation", "test"):
        found = sorted(size for part, size in sizes.items() if roles[part] == role)
        if found:
            several = f" ({len(found)} folds)" if len(found) > 1 else ""
            few = f"{found[0]:,}" if found[0] == found[-1] else f"{found[0]:,} to {found[-1]:,}"
            said.append(f"{few} {role}{several}")
    if not said:
        return ""
    differ = max(max(of_group) - min(of_group) for of_group in shares.values())
    alike = f"shares differ by at most {100 * differ:.2g} percentage points" if len(shares) > 1 else ""
    anew = RESHUFFLED if reshuffled else ""
    return "; ".join(filter(None, (", ".join(said), alike, anew)))


def repeats_text(repeated: int, conflicting: int, across: int) -> list[str]:
    """What is to be said about rows with the same features; nothing where there are none."""
    if not repeated:
        return []
    rows = f"{repeated:,} row{'s have' if repeated > 1 else ' has'} the same features as an earlier row"
    if across:
        other = f"{across:,} row{'s' if across > 1 else ''} to validate or test on {'have' if across > 1 else 'has'}"
        rows += f"; {other} the features of a row to train on, and scores on them are better than on new data"
    else:
        rows += ", and rows with the same features are in one part"
    found = [f"{rows}."]
    if conflicting:
        found.append(
            f"{conflicting:,} rows have the same features as a row with another target, which no model can tell apart."
        )
    return found


def _by_group(rows: Sequence[BalanceRow], role: str) -> tuple[int, ...]:
    counts: dict[str, int] = {}
    for row in rows:
        if row.role == role:
            counts[row.group] = counts.get(row.group, 0) + row.count
    return tuple(counts.values())


def _purpose(part: str) -> dict[str, Any]:
    numbered = re.fullmatch(r"fold (\d+) (\w+)", part)
    return {"role": numbered[2], "fold": int(numbered[1]) - 1} if numbered else {"role": part, "fold": None}
