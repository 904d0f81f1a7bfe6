"""The studies of a comparison, each with its report and its settings, and the rows that they are put into."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hpo.errors import HpoError, InputError
from hpo.printable import listed
from hpo.registry.repeats import values_of
from hpo.reports.facts import StudyReport, gather
from hpo.studyfile.file import parse_study
from hpo.studyfile.settings import entries as settings_of

if TYPE_CHECKING:
    from hpo.storage.store import Store

FILE = "file"
"""Groups studies whose files differ in name and seed alone."""
NAMED = 10
"""Most names in a sentence."""
NOT_COMPARED = ("study.name", "study.seed")
"""Settings that differ between repetitions of a study."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A study in a comparison."""

    report: StudyReport
    settings: Mapping[str, str] = field(default_factory=dict)
    """Every setting of the study file by its dotted path, as TOML; empty where this version cannot read the file."""
    new_seeds: tuple[float, ...] = ()
    """The winner's objective each time that it was trained again with new seeds, the mean over its folds."""

    @property
    def file(self) -> dict[str, str]:
        """The settings without those that differ between repetitions of a study."""
        return {path: value for path, value in self.settings.items() if path not in NOT_COMPARED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row of a comparison: a study, or studies that are repetitions of each other."""

    label: str
    entries: tuple[Entry, ...]

    @property
    def reports(self) -> list[StudyReport]:
        """Of the row's studies."""
        return [entry.report for entry in self.entries]


def entry_of(report: StudyReport, new_seeds: Sequence[float] = ()) -> Entry:
    """A study's entry from its report."""
    try:
        found = {path: one.value for path, one in settings_of(parse_study(report.spec_text, report.source)).items()}
    except HpoError:
        found = {}
    return Entry(report=report, settings=found, new_seeds=tuple(new_seeds))


def read_entries(store: Store, names: Sequence[str]) -> list[Entry]:
    """The studies of these names, in this order. An unknown name raises StudyStateError."""
    made = {name: _read(store, name) for name in dict.fromkeys(names)}
    return [made[name] for name in names]


def _read(store: Store, name: str) -> Entry:
    report = gather(store, name)
    number = None if report.winner is None else report.winner.number
    return entry_of(report, () if number is None else values_of(report.repeated, number))


def rows_of(entries: Sequence[Entry], key: str | None) -> list[Row]:
    """The rows in the order of their first study: one for each study; or one for each value of the setting `key`; or,
    for the key `file`, one for studies whose files differ in name and seed alone. Raises InputError for an unknown
    setting."""
    if key is None:
        return [Row(label=entry.report.name, entries=(entry,)) for entry in entries]
    if key == FILE:
        groups = _grouped(entries, [_file_key(entry) for entry in entries])
        return [Row(label=group[0].report.name, entries=group) for group in groups.values()]
    if key in NOT_COMPARED:
        raise InputError(f"--group-by {key} would group nothing: studies of a row are those of several seeds.")
    known = list(dict.fromkeys(path for entry in entries for path in entry.file))
    if key not in known:
        close = difflib.get_close_matches(key, known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise InputError(f"no study has the setting {key!r}.{guess} Give {FILE!r} or the dotted path of a setting.")
    groups = _grouped(entries, [entry.settings.get(key, "absent") for entry in entries])
    return [Row(label=value.strip('"'), entries=group) for value, group in groups.items()]


def _file_key(entry: Entry) -> str:
    """Equal for studies that differ in name and seed alone. One whose file cannot be read has no equal."""
    return json.dumps(entry.file or [entry.report.name], sort_keys=True)


def _grouped(entries: Sequence[Entry], keys: Sequence[str]) -> dict[str, tuple[Entry, ...]]:
    groups: dict[str, tuple[Entry, ...]] = {}
    for entry, key in zip(entries, keys, strict=True):
        groups[key] = (*groups.get(key, ()), entry)
    return groups


def differing(entries: Sequence[Entry]) -> list[str]:
    """Settings in which the files of these studies differ, name and seed apart."""
    readable = [entry.file for entry in entries if entry.settings]
    paths = dict.fromkeys(path for file in readable for path in file)
    return [path for path in paths if len({file.get(path) for file in readable}) > 1]


def mixed(rows: Sequence[Row]) -> str | None:
    """That studies of one row differ in more than the seed; None where they do not."""
    paths = dict.fromkeys(path for row in rows for path in differing(row.entries))
    return f"Studies of one row differ in more than the seed: {listed(paths, NAMED)}." if paths else None
