"""Types of the columns of a text table: numeric or categorical, feature or target, usable or not.

No files are read. Messages count rows from 1 after the first line. Shape letters as in `hpo.data.dataset`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import Task, TextArray, no_categories
from hpo.errors import DataError
from hpo.printable import listed

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MOST_CATEGORIES = 50
"""A text column with more distinct values is an identifier or free text, and is left out with a note."""
MOST_CLASSES = 20
"""With `task = "auto"`, a numeric target with more distinct values is a quantity to regress on."""
UNNAMED = ("column 1", "Unnamed: 0")
"""Names of a first column without a name in the file; pandas writes row numbers there."""
LARGEST = 1e30
"""Largest absolute value; larger ones overflow float32 when they are squared or summed."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NumericColumn:
    """A column read as numbers."""

    values_N: NDArray[np.float64]
    """NaN where missing or not a number."""
    strays: NDArray[np.int64]
    """Positions of the cells that contain something other than a number."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Features:
    """The usable columns."""

    numeric_NF: NDArray[np.float64]
    numeric_names: tuple[str, ...]
    categorical_NK: TextArray
    categorical_names: tuple[str, ...]
    notes: tuple[str, ...]
    """A sentence for each column that is left out or suspicious."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Target:
    """The target column: class indices, or numbers."""

    task: Task
    values_N: NDArray[np.int64] | NDArray[np.float64]
    class_names: tuple[str, ...]


def parse_numbers(column: Series[Any]) -> NumericColumn:
    """The column as float64; booleans and text are strays, missing cells are not."""
    import pandas as pd

    present = column.notna().to_numpy()
    if column.dtype == bool:
        return NumericColumn(values_N=np.full(len(column), np.nan), strays=np.flatnonzero(present))
    values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return NumericColumn(values_N=values, strays=np.flatnonzero(present & np.isnan(values)))


def texts(column: Series[Any]) -> TextArray:
    """The column as text, None where missing; whole numbers are written without a fraction."""
    cells = np.empty(len(column), dtype=object)
    cells[:] = [None if missing else _text(cell) for cell, missing in zip(column, column.isna(), strict=True)]
    return cells


def _text(cell: object) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell)


def read_features(frame: DataFrame, place: str) -> Features:
    """Divide columns into numeric and categorical ones, and leave out those without information.

    Left out with a note: constant columns, text columns of more than `MOST_CATEGORIES` values, an unnamed
    first column that only counts the rows. Raises `DataError` for infinite numbers, for a column of many
    numbers with a few text cells among them, and when no column remains.
    """
    import pandas as pd

    numeric: dict[str, NDArray[np.float64]] = {}
    categorical: dict[str, TextArray] = {}
    notes: list[str] = []
    for name in map(str, frame.columns):
        numbers = parse_numbers(frame[name])
        is_numeric = not numbers.strays.size
        distinct = int((pd.Series(numbers.values_N) if is_numeric else frame[name]).nunique())
        if distinct <= 1 and (distinct == 0 or frame[name].notna().all()):
            notes.append(f'Column "{name}" was left out: ' + ("it is empty." if distinct == 0 else "it is constant."))
        elif is_numeric:
            refuse_extremes(numbers.values_N, f'{place}: column "{name}"')
            counts_rows = len(frame) > MOST_CLASSES and bool((np.diff(numbers.values_N) == 1).all())
            if counts_rows and name in UNNAMED:
                notes.append("The first column was left out: it has no name and counts the rows.")
                continue
            if counts_rows:
                notes.append(f'Column "{name}" counts the rows; if the rows are sorted, it gives the target away.')
            numeric[name] = numbers.values_N
        elif distinct <= MOST_CATEGORIES:
            categorical[name] = texts(frame[name])
        else:
            _refuse_stray_text(frame[name], numbers, f'{place}: column "{name}"')
            notes.append(
                f'Column "{name}" was left out: {distinct} distinct texts are more than {MOST_CATEGORIES}.'
                " Group them to use it."
            )
    if not numeric and not categorical:
        raise DataError(f"{place}: no column is left to predict from. {' '.join(notes)}".rstrip())
    size = len(frame)
    return Features(
        numeric_NF=np.column_stack(list(numeric.values())) if numeric else np.empty((size, 0)),
        numeric_names=tuple(numeric),
        categorical_NK=np.column_stack(list(categorical.values())) if categorical else no_categories(size),
        categorical_names=tuple(categorical),
        notes=tuple(notes),
    )


def read_target(column: Series[Any], task: Literal["auto"] | Task, place: str) -> Target:
    """The target as class indices or numbers.

    Raises `DataError` if a cell is missing, a cell is no number in a regression, or all cells are equal.
    """
    where = f'{place}: target "{column.name}"'
    missing = np.flatnonzero(column.isna())
    if missing.size:
        raise DataError(
            f"{where} is missing in {_rows(missing)}, {missing.size} of {len(column)} rows."
            " Fill in these cells or remove the rows (cells such as ?, NA and None count as missing)."
        )
    numbers = parse_numbers(column)
    is_numeric = not numbers.strays.size
    if task == "auto":
        many = is_numeric and len(np.unique(numbers.values_N)) > MOST_CLASSES
        task = "regression" if many else "classification"
    if task == "classification":
        return _classes(numbers.values_N if is_numeric else texts(column), where)
    if not is_numeric:
        raise DataError(
            f'{where} holds "{column.iloc[numbers.strays[0]]}" in {_rows(numbers.strays)}, and regression'
            ' needs numbers. Correct the cells, or set data.task = "classification".'
        )
    refuse_extremes(numbers.values_N, where)
    _refuse_one_value(len(np.unique(numbers.values_N)), numbers.values_N[0], where)
    return Target(task="regression", values_N=numbers.values_N, class_names=())


def refuse_extremes(values_N: NDArray[np.float64], where: str) -> None:
    """Raise `DataError` for numbers that are infinite or too large to compute with."""
    extreme = np.flatnonzero(np.abs(values_N) > LARGEST)
    if extreme.size:
        raise DataError(
            f"{where} is {values_N[extreme[0]]:g} in {_rows(extreme)}; numbers must be finite and within"
            f" ±{LARGEST:g}. Correct the cells, or leave them empty if the value is unknown."
        )


def _classes(values: NDArray[np.float64] | TextArray, where: str) -> Target:
    labels, indices = np.unique(values, return_inverse=True)
    _refuse_one_value(len(labels), labels[0], where)
    return Target(
        task="classification",
        values_N=indices.astype(np.int64),
        class_names=tuple(_text(label) for label in labels.tolist()),
    )


def _refuse_one_value(distinct: int, value: object, where: str) -> None:
    if distinct == 1:
        raise DataError(
            f"{where} is {_text(value)} in every row, so there is nothing to learn. Add examples that differ,"
            " or name another column as data.target."
        )


def _refuse_stray_text(column: Series[Any], numbers: NumericColumn, where: str) -> None:
    """Raises `DataError` for a column of numbers with a few texts, rather than dropping it for a typing error."""
    if numbers.strays.size < len(column) / 2:
        raise DataError(
            f'{where} holds numbers, but "{column.iloc[numbers.strays[0]]}" in {_rows(numbers.strays)}.'
            " Correct the cells, or leave them empty if the value is unknown."
        )


def _rows(positions: NDArray[np.int64]) -> str:
    numbers = (positions + 1).tolist()
    return f"row{'s' if len(numbers) > 1 else ''} {listed(numbers, 10)}"
