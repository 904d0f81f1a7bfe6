"""The kind of each column: declared in `[data.columns]`, or found from its cells. No target here.

| kind | what becomes of it |
| --- | --- |
| numeric | a number |
| categorical | one column for each category, or a code |
| date | the days since 1970-01-01, as a number |
| text | words, for a data set of texts |
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

from hpo.data.columns.numbers import PLAIN, NumberForm, parse
from hpo.data.dataset import CellForm, TextArray
from hpo.data.table import Coded, distinct, joined, rows, texts, toml_key
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import ColumnKind, DataTable

if TYPE_CHECKING:
    from pandas import Series

MOST_CATEGORIES = 50
"""A text column with more distinct values is an identifier or free text."""
MOST_CODES = 20
"""A column of whole numbers and some texts, with no more distinct numbers than this, holds codes, i.e. categories."""
LARGEST = 1e30
"""Beyond this a number overflows float32 as soon as it is squared or summed up."""
BLANKS = (
    "-",
    "--",
    "---",
    ".",
    "..",
    "n.d.",
    "nd",
    "n. d.",
    "k.a.",
    "k. a.",
    "missing",
    "unknown",
    "none",
    "na",
    "nil",
)
"""Cells that mean "no value" among numbers, in any case of letters; among texts they are categories like others."""
ISO_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?(?:Z|[+-]\d\d:?\d\d)?")
ANY_FORM = CellForm(kind="numeric")
"""Numbers in whatever form is found."""
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
    notes: tuple[str, ...] = ()
    """What was odd, in sentences for the user."""


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


def is_number(column: Series[Any]) -> bool:
    """Whether the column came as numbers, not as text."""
    from pandas.api import types

    return bool(types.is_numeric_dtype(column.dtype)) and not types.is_bool_dtype(column.dtype)


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
        count = len(numbers.strays)
        notes.append(
            f'Column "{name}": {listed((repr(cell) for cell in odd), 5)} in {count} cell{"s" if count > 1 else ""} '
            f"count{'' if count > 1 else 's'} as missing ({rows(numbers.strays)})."
        )
    if numbers.form != PLAIN or numbers.sign:
        sign = f" and the sign {numbers.sign}" if numbers.sign else ""
        notes.append(f'Column "{name}" was read as numbers with {numbers.form}{sign}.')
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
    name = cells.name
    note = f'Column "{name}" was read as dates: the days since 1970-01-01.'
    return Column(name=name, kind="date", values_N=values_N, form=CellForm(kind="date"), notes=(note,))


def _identifier(cells: Cells) -> Column:
    name = cells.name
    if cells.declared == "identifier":
        return Column(name=name, kind="identifier")
    values = len(set(cells.coded[1]) - {None})
    note = (
        f'Column "{name}" was left out: {values} distinct texts are more than {MOST_CATEGORIES}, so it looks like an '
        f'identifier. Group them to use it, or set `[data.columns] {toml_key(name)} = "categorical"`.'
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


def read_as(column: Series[Any], form: CellForm) -> NDArray[np.float64]:
    """The numbers or dates of a column in a form that is known. Raises `DataError` for a cell that is neither."""
    where = f'Column "{column.name}"'
    if form.kind == "date":
        values_N, strays = to_days(column)
    else:
        numbers = to_numbers(column, form)
        refuse_ambiguous(numbers, where)
        values_N, strays = numbers.values_N, numbers.strays
        if form.others_missing or all(str(cell).strip().lower() in BLANKS for cell in column.iloc[strays]):
            return values_N
    if strays.size:
        wanted = "dates" if form.kind == "date" else "numbers"
        raise DataError(
            f'{where} must hold {wanted}, but holds "{column.iloc[strays[0]]}" in {rows(strays)}. Correct the cells, '
            "or leave them empty if the value is unknown."
        )
    return values_N


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Numbers:
    """A column read as numbers."""

    values_N: NDArray[np.float64]
    """NaN where missing or not a number."""
    strays: NDArray[np.int64]
    """Positions of the cells that hold something else than a number."""
    form: NumberForm = PLAIN
    sign: str = ""
    """The sign beside the numbers, e.g. `%`; empty: none."""
    ambiguous: str | None = None
    """A cell that may be two numbers, where nothing decides between them."""


def to_numbers(column: Series[Any], form: CellForm = ANY_FORM, coded: Coded | None = None) -> Numbers:
    """The column as float64; texts that are no numbers, and booleans, are strays, missing cells are not. `coded`: its
    `distinct` texts, where they are known."""
    from pandas.api import types

    if is_number(column):
        plain = column.dtype.kind in "iuf"  # the other numbers have a missing value of pandas' own
        values_N = column.to_numpy(np.float64) if plain else column.to_numpy(np.float64, na_value=np.nan)
        return Numbers(values_N=values_N, strays=np.arange(0))
    code_N, words = coded or distinct(column)
    if types.is_bool_dtype(column.dtype) or not any(words):
        return Numbers(values_N=np.full(len(column), np.nan), strays=np.flatnonzero(code_N >= 0))
    parsed = parse([word or "" for word in words], form.decimal, form.thousands)
    values_N = np.append(parsed.values_U, np.nan)[code_N]
    strays = np.flatnonzero((code_N >= 0) & np.isnan(values_N))
    return Numbers(values_N=values_N, strays=strays, form=parsed.form, sign=parsed.sign, ambiguous=parsed.ambiguous)


def to_days(column: Series[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The column as days since 1970-01-01 (UTC), NaN where missing; and the positions of cells that are no dates."""
    import pandas as pd
    from pandas.api import types

    if types.is_datetime64_any_dtype(column.dtype):
        cells, times = column, pd.to_datetime(column, utc=True)
    else:
        cells = pd.Series(texts(column))
        times = pd.to_datetime(cells, utc=True, errors="coerce", format="ISO8601")
    strays = np.flatnonzero((times.isna() & cells.notna()).to_numpy())
    since = times.dt.as_unit("us") - pd.Timestamp(0, tz="UTC").as_unit("us")  # nanoseconds end in 2262
    days_N = (since / pd.Timedelta(days=1)).to_numpy(np.float64, na_value=np.nan)
    return np.asarray(days_N, np.float64), strays


def refuse_ambiguous(numbers: Numbers, where: str) -> None:
    """Raise `DataError` where a cell may be two numbers."""
    if numbers.ambiguous is not None:
        raise DataError(
            f'{where} holds "{numbers.ambiguous}", where the mark may stand between thousands or before decimals. '
            'Say which: data.thousands = "," or data.decimal = ",", with the mark that the file uses.'
        )


def refuse_extremes(values_N: NDArray[np.float64], where: str) -> None:
    """Raise `DataError` for numbers that are infinite or too large to compute with."""
    extreme = np.flatnonzero(np.abs(values_N) > LARGEST)
    if extreme.size:
        raise DataError(
            f"{where} is {values_N[extreme[0]]:g} in {rows(extreme)}; numbers must be finite and within"
            f" ±{LARGEST:g}. Correct the cells, or leave them empty if the value is unknown."
        )
