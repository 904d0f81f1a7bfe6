"""The cells of a column as numbers or dates. `hpo.data.columns.kinds` decides what a column holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.columns.numbers import PLAIN, NumberForm, parse
from hpo.data.dataset import CellForm
from hpo.data.table import Coded, distinct, rows, texts
from hpo.errors import DataError

if TYPE_CHECKING:
    from pandas import Series

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
ANY_FORM = CellForm(kind="numeric")
"""Numbers in whatever form is found."""


def is_number(column: Series[Any]) -> bool:
    """Whether the column came as numbers, not as text."""
    from pandas.api import types

    return bool(types.is_numeric_dtype(column.dtype)) and not types.is_bool_dtype(column.dtype)


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


def read_as(column: Series[Any], form: CellForm) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The numbers or dates of a column as training read them, NaN where missing; and the positions of cells that are
    neither and count as missing. Raises `DataError` for other cells.

    Numbers that are not written as in training are read in the form that fits more of them, if it is certain.
    """
    where = f'Column "{column.name}"'
    if form.kind == "date":
        values_N, strays = to_days(column)
        count_as_missing = not strays.size
    else:
        known = replace(form, decimal=form.decimal or PLAIN.decimal, thousands=form.thousands or PLAIN.thousands)
        numbers = to_numbers(column, known)
        if numbers.strays.size:
            numbers = min(numbers, to_numbers(column), key=lambda found: found.strays.size)
        if numbers.ambiguous is not None:
            raise DataError(
                f'{where} holds "{numbers.ambiguous}", where the mark may stand between thousands or before decimals. '
                "Write the numbers without marks between thousands, or as in the table that the model was trained on."
            )
        values_N, strays = numbers.values_N, numbers.strays
        count_as_missing = form.others_missing or all(
            str(cell).strip().lower() in BLANKS for cell in column.iloc[strays]
        )
    if not count_as_missing:
        wanted = "dates" if form.kind == "date" else "numbers"
        raise DataError(
            f'{where} must hold {wanted}, but holds "{column.iloc[strays[0]]}" in {rows(strays)}. Correct the cells, '
            "or leave them empty if the value is unknown."
        )
    return values_N, strays
