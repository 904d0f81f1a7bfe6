"""The kind of each column: declared in `[data.columns]`, or found from its cells. No target here.

| kind | what becomes of it |
| --- | --- |
| numeric | a number |
| categorical | one column for each category, or a code |
| date | the days since 1970-01-01, as a number |
| text | tokens, for a model that takes words |
| identifier, ignored | left out |

A kind is one reader in `KINDS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.columns.cells import BLANKS, is_number, refuse_ambiguous, refuse_extremes, to_days, to_numbers
from hpo.data.columns.numbers import PLAIN, parse
from hpo.data.dataset import CellForm, TextArray
from hpo.data.notes import Note
from hpo.data.table import Coded, distinct, joined, rows
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import ColumnKind, DataTable
from hpo.studyfile.tree import toml_key

if TYPE_CHECKING:
    from pandas import Series

MOST_CATEGORIES = 50
"""A text column with more distinct values is an identifier or free text."""
MOST_CODES = 20
"""A column of whole numbers and some texts, with no more distinct numbers than this, holds codes, i.e. categories."""
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?")
WORDS = 3
"""A text column whose cells have on average more words than this is free text."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Column:
    """One column with its kind. It has numbers or cells, or neither where it is left out."""

    name: str
    kind: ColumnKind
    values_N: NDArray[np.float64] | None = None
    """Of numeric columns and dates; NaN where missing."""
    cells_N: TextArray | None = None
    """Of categorical columns and texts; None where missing."""
    form: CellForm | None = None
    """How its cells are read, where this is not the plain way."""
    notes: tuple[Note, ...] = ()
    """What was odd."""


@dataclass(frozen=True, kw_only=True)
class Cells:
    """A column as it came, and what the study says of it."""

    column: Series[Any]
    data: DataTable
    place: str
    """Of the table, for messages."""

    @property
    def name(self) -> str:
        return str(self.column.name)

    @property
    def where(self) -> str:
        """The table and the column, for messages."""
        return f'{self.place}: column "{self.name}"'

    @property
    def declared(self) -> ColumnKind | None:
        """The kind that the study gives it."""
        return self.data.columns.get(self.name)

    @cached_property
    def coded(self) -> Coded:
        """The `distinct` texts."""
        return distinct(self.column)

    @property
    def texts_N(self) -> TextArray:
        """Each cell as text; None where missing."""
        return joined(self.coded)


def read_column(column: Series[Any], data: DataTable, place: str) -> Column:
    """The column in the kind that `data.columns` declares, else in the kind that is found. Raises `DataError` where the
    cells are of no kind, or not of the declared one."""
    cells = Cells(column=column, data=data, place=place)
    return KINDS[cells.declared or _kind_of(cells)](cells)


def _kind_of(cells: Cells) -> ColumnKind:
    """The kind that the cells are of."""
    from pandas.api import types

    if is_number(cells.column):
        return "numeric"
    if types.is_datetime64_any_dtype(cells.column.dtype):
        return "date"
    code_N, words = cells.coded
    seen = [word for word in words if word is not None]
    if not seen:
        return "numeric"
    values_U = parse(seen, cells.data.decimal, cells.data.thousands).values_U
    if not np.isnan(values_U).any() or (_share(code_N, words, seen, values_U) >= 0.5 and _are_no_codes(seen, values_U)):
        return "numeric"
    if all(ISO_DATE.fullmatch(word) for word in seen):
        return "date"
    if len(set(seen)) <= MOST_CATEGORIES:
        return "categorical"
    return "text" if np.mean([len(word.split()) for word in seen]) > WORDS else "identifier"


def _are_no_codes(seen: list[str], values_U: NDArray[np.float64]) -> bool:
    """Whether the numbers among the texts are too many or too fine for codes, or the others say that there is none."""
    known_U = ~np.isnan(values_U)
    fine = bool((values_U[known_U] % 1 != 0).any())
    odd = (word for word, known in zip(seen, known_U, strict=True) if not known)
    return fine or known_U.sum() > MOST_CODES or all(word.lower() in BLANKS for word in odd)


def _share(code_N: NDArray[np.int64], words: list[str | None], seen: list[str], values_U: NDArray[np.float64]) -> float:
    """Share of the present cells that hold numbers."""
    numbers = {word for word, value in zip(seen, values_U, strict=True) if not np.isnan(value)}
    count_U = np.bincount(code_N[code_N >= 0], minlength=len(words))
    return float(count_U[[word in numbers for word in words]].sum() / count_U.sum())


def _numeric(cells: Cells) -> Column:
    name, notes = cells.name, []
    declared = cells.declared == "numeric"
    form = CellForm(kind="numeric", decimal=cells.data.decimal, thousands=cells.data.thousands)
    numbers = to_numbers(cells.column, form, None if is_number(cells.column) else cells.coded)
    refuse_ambiguous(numbers, cells.where)
    if numbers.strays.size:
        odd = sorted({str(cells.column.iloc[position]).strip() for position in numbers.strays})
        if not declared and not all(cell.lower() in BLANKS for cell in odd):
            raise DataError(
                f'{cells.where} holds numbers, but "{odd[0]}" in {rows(numbers.strays)}. Correct the cells, or leave '
                f'them empty if the value is unknown. `[data.columns] {toml_key(name)} = "numeric"` takes what is no '
                'number for missing, and "categorical" takes every cell for a category.'
            )
        found = f"{listed((repr(cell) for cell in odd), 5)} in {rows(numbers.strays)}"
        notes.append(Note(kind="missing", text="Cells without a number count as missing", column=name, detail=found))
    if numbers.form != PLAIN or numbers.sign:
        sign = f" and the sign {numbers.sign}" if numbers.sign else ""
        notes.append(Note(kind="read_as", text=f"Read as numbers with {numbers.form}{sign}", column=name))
    refuse_extremes(numbers.values_N, cells.where)
    kept = None
    if declared or numbers.form != PLAIN:
        kept = CellForm(
            kind="numeric",
            decimal=None if numbers.form == PLAIN else numbers.form.decimal,
            thousands=None if numbers.form == PLAIN else numbers.form.thousands,
            others_missing=declared,
        )
    return Column(name=name, kind="numeric", values_N=numbers.values_N, form=kept, notes=tuple(notes))


def _categorical(cells: Cells) -> Column:
    return Column(name=cells.name, kind="categorical", cells_N=cells.texts_N)


def _text(cells: Cells) -> Column:
    return Column(name=cells.name, kind="text", cells_N=cells.texts_N)


def _date(cells: Cells) -> Column:
    values_N, strays = to_days(cells.column)
    if strays.size:
        raise DataError(
            f'{cells.where} holds "{cells.column.iloc[strays[0]]}" in {rows(strays)}, and a date is written like '
            "2026-01-31 or 2026-01-31 12:30. Correct the cells, or leave them empty if the date is unknown."
        )
    note = Note(kind="read_as", text="Read as dates, i.e. days since 1970-01-01", column=cells.name)
    return Column(name=cells.name, kind="date", values_N=values_N, form=CellForm(kind="date"), notes=(note,))


def _identifier(cells: Cells) -> Column:
    name = cells.name
    if cells.declared == "identifier":
        return Column(name=name, kind="identifier")
    values = len(set(cells.coded[1]) - {None})
    note = Note(
        kind="left_out",
        text=f"Left out because more than {MOST_CATEGORIES} distinct texts look like an identifier; to use it, group "
        'them or declare "categorical" in [data.columns]',
        column=name,
        detail=f"{values} distinct",
    )
    return Column(name=name, kind="identifier", notes=(note,))


def _ignored(cells: Cells) -> Column:
    return Column(name=cells.name, kind="ignored")


KINDS: dict[ColumnKind, Callable[[Cells], Column]] = {
    "numeric": _numeric,
    "categorical": _categorical,
    "text": _text,
    "date": _date,
    "identifier": _identifier,
    "ignored": _ignored,
}
