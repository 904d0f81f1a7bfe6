"""Notes: what the user should know about how data was read. Like notes of several columns become one line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from hpo.printable import listed

NoteKind = Literal["left_out", "constant", "read_as", "missing", "suspicious"]
"""`constant`: the column was left out because all its cells are alike, or empty."""

NAMED = 5
"""Columns that a line names; the others are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One thing that was found while data was read."""

    kind: NoteKind
    text: str
    """What was found, without a full stop; the same for all columns that it is true of."""
    column: str = ""
    """Column that it was found in; empty: it is about the whole data set."""
    detail: str = ""
    """What is true of this column alone, e.g. which cells."""

    def __str__(self) -> str:
        """`Read as numbers with a decimal comma: price`."""
        return _line(self.text, [self])


def grouped(notes: Iterable[Note]) -> list[str]:
    """A line for each text, with the columns that it is about."""
    groups: dict[tuple[NoteKind, str], list[Note]] = {}
    for note in notes:
        groups.setdefault((note.kind, note.text), []).append(note)
    return [_line(text, group) for (_, text), group in groups.items()]


def _line(text: str, group: list[Note]) -> str:
    columns = [f"{note.column} ({note.detail})" if note.detail else note.column for note in group if note.column]
    if not columns:
        return f"{text}."
    named = f"{listed(columns[:NAMED])} and {len(columns) - NAMED:,} more" if len(columns) > NAMED else listed(columns)
    return f"{text}: {named}."
