"""Whether studies measured the same: the same objective, on the same examples, in the same parts. Those that did not
are refused unless the caller insists; then the comparison says so."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hpo.printable import listed
from hpo.reports.comparison.entries import NAMED, Entry, Row

DIVIDING = ("test", "split", "group", "time", "validation", "folds", "reshuffle")
"""Settings of `[data]` that say how examples are divided into parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacle:
    """A reason why studies do not compare."""

    kind: str
    """`objective`, `data` or `split`."""
    finding: str
    """A sentence."""
    way_out: str
    """What to do instead, without a full stop; empty where there is nothing but to insist."""


def obstacles(rows: Sequence[Row], metric: str | None) -> list[Obstacle]:
    """Every reason why the rows do not compare. `metric`: the one that is asked for; None: each study's objective."""
    entries = [entry for row in rows for entry in row.entries]
    found = []
    if metric is None:
        objectives = _by(entries, lambda entry: f"{entry.report.direction} {entry.report.objective}")
        if len(objectives) > 1:
            way = "give --metric with one that all studies recorded"
            found.append(
                Obstacle(kind="objective", finding=_told("have different objectives", objectives), way_out=way)
            )
    data = _by(entries, lambda entry: entry.report.dataset_fingerprint)
    if len(data) > 1:
        finding = _told("have different data", {f"data {n}": names for n, names in enumerate(data.values(), 1)})
        found.append(Obstacle(kind="data", finding=finding, way_out=""))
    elif split := _split(rows, entries):
        found.append(split)
    return found


def _split(rows: Sequence[Row], entries: Sequence[Entry]) -> Obstacle | None:
    """That the parts differ. Repetitions have parts of their own, but must divide the data in the same way."""
    ways = _by(entries, _division)
    if len(ways) > 1:
        named = {way or "as by default": names for way, names in ways.items()}
        return Obstacle(kind="split", finding=_told("divide the data in different ways", named), way_out="")
    if len(rows) < len(entries):
        return None
    parts = _by(
        [entry for entry in entries if entry.report.split_fingerprint], lambda e: str(e.report.split_fingerprint)
    )
    if len(parts) < 2:
        return None
    seeds = {f"seed {entry.report.seed}": [entry.report.name] for entry in entries}
    way = "group studies that differ in the seed alone with --group-by file" if len(seeds) > 1 else ""
    named = {f"parts {n}": names for n, names in enumerate(parts.values(), 1)}
    return Obstacle(kind="split", finding=_told("have different parts for training and validation", named), way_out=way)


def _division(entry: Entry) -> str:
    settings = ((key, entry.settings.get(f"data.{key}")) for key in DIVIDING)
    return ", ".join(f"data.{key} = {value}" for key, value in settings if value not in (None, '"none"', "false"))


def _by(entries: Sequence[Entry], what: Callable[[Entry], str]) -> dict[str, list[str]]:
    """Names of studies by what they have."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        found.setdefault(what(entry), []).append(entry.report.name)
    return found


def _told(verb: str, groups: dict[str, list[str]]) -> str:
    each = listed((f"{what}: {listed(dict.fromkeys(names), 3)}" for what, names in groups.items()), NAMED, "; ")
    return f"The studies {verb} ({each})."
