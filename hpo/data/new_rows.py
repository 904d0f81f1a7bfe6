"""Rows to predict: their columns read as training read its own, and a report of what is odd in them.

Dimensions: N rows, F numeric features, K categorical features.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import lengths_of
from hpo.data.columns.categories import category_codes
from hpo.data.columns.cells import ANY_FORM, read_as
from hpo.data.columns.words import words_of
from hpo.data.dataset import TextArray, no_categories
from hpo.data.table import refuse_duplicates, texts
from hpo.errors import DataError
from hpo.printable import listed

if TYPE_CHECKING:
    from pandas import DataFrame

    from hpo.data.preprocessing.fitted import Preprocessing

STEP = re.compile(r"step_(\d+)_\d+")
MOST_NAMED = 5
"""Cells that a sentence about a column names."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ColumnReport:
    """What is odd in a column to predict from."""

    column: str
    rows: int
    """Of the table."""
    missing: int
    """Empty cells, and others that mean "missing". Numbers are filled with the mean of training."""
    no_numbers: Mapping[str, int] = field(default_factory=dict)
    """Other cells of a column of numbers that count as missing, and how often each occurs, most frequent first."""
    unseen: Mapping[str, int] = field(default_factory=dict)
    """Categories that training did not have, and how often each occurs, most frequent first."""
    words: int = 0
    """Words of a column of texts."""
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Those that are not in the vocabulary, and how often each occurs, most frequent first."""

    def __str__(self) -> str:
        found = []
        if self.unseen:
            count = sum(self.unseen.values())
            hold = "cells hold categories" if count > 1 else "cell holds a category"
            found.append(f"{count} {hold} that training did not have ({_counted(self.unseen)})")
        if self.unknown:
            count = sum(self.unknown.values())
            found.append(f"{count} of {self.words} words are not in the vocabulary ({_counted(self.unknown)})")
        if self.no_numbers:
            count = sum(self.no_numbers.values())
            hold = "cells are no numbers and count" if count > 1 else "cell is no number and counts"
            found.append(f"{count} {hold} as missing ({_counted(self.no_numbers)})")
        if self.missing:
            found.append(f"{self.missing} of {self.rows} cells {'are' if self.missing > 1 else 'is'} missing")
        return f'Column "{self.column}": {"; ".join(found)}.'


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class NewRows:
    """The columns that a model needs."""

    numeric_NF: NDArray[np.float64]
    """NaN where missing."""
    categorical_NK: TextArray
    """None where missing."""
    texts_NW: TextArray
    """None where missing."""
    lengths_N: NDArray[np.int64] | None
    """Steps of each sequence, up to the last that is not missing; None where the model takes no mask."""
    no_numbers: Mapping[str, Mapping[str, int]]
    """By numeric column: cells that are no numbers and count as missing, and how often each occurs."""


def read_rows(preprocessing: Preprocessing, frame: DataFrame) -> NewRows:
    """The columns of a table (from a reader, or any frame) that the model needs.

    They are found by name, in any order; other columns are ignored. Raises `DataError` for a missing column or a cell
    that should be a number.
    """
    wanted = (*preprocessing.numeric_names, *preprocessing.categorical_names, *preprocessing.text_names)
    frame = frame.rename(columns=lambda name: str(name).strip())
    missing = [name for name in wanted if name not in frame.columns]
    if missing:
        raise DataError(
            f"The table lacks {len(missing)} of the {len(wanted)} columns the model was trained on:"
            f" {listed(missing)}. It has: {listed(frame.columns)}. Add them; unknown values may stay empty."
        )
    refuse_duplicates(frame.columns, "The table")
    if preprocessing.length:
        _refuse_longer(frame, preprocessing.length)
    size, numeric, no_numbers = len(frame), [], {}
    for name in preprocessing.numeric_names:
        values_N, strays = read_as(frame[name], preprocessing.forms.get(name, ANY_FORM))
        numeric.append(values_N)
        if strays.size:
            no_numbers[name] = _counts(str(cell).strip() for cell in frame[name].iloc[strays])
    categorical = [texts(frame[name]) for name in preprocessing.categorical_names]
    words = [texts(frame[name]) for name in preprocessing.text_names]
    numeric_NF = np.column_stack(numeric) if numeric else np.empty((size, 0))
    return NewRows(
        numeric_NF=numeric_NF,
        categorical_NK=np.column_stack(categorical) if categorical else no_categories(size),
        texts_NW=np.column_stack(words) if words else no_categories(size),
        lengths_N=lengths_of(numeric_NF.reshape(size, preprocessing.length, -1)) if preprocessing.length else None,
        no_numbers=no_numbers,
    )


def _refuse_longer(frame: DataFrame, length: int) -> None:
    """Raise `DataError` where sequences, whose numbers have the names of `arrays.names_of`, go on behind the longest
    that training had."""
    for name in frame.columns:
        step = STEP.fullmatch(name)
        if step and int(step[1]) >= length and frame[name].notna().any():
            raise DataError(
                f'The table has sequences of more than {length} steps (column "{name}"), and the model takes {length}, '
                "the longest that it was trained on. Cut them, or train it on longer ones."
            )


def report(replicas: Sequence[Preprocessing], rows: NewRows) -> tuple[ColumnReport, ...]:
    """One entry for each column in which something is odd. A category is known if one of the replicas knows it."""
    names, size = replicas[0].numeric_names, len(rows.numeric_NF)
    found = []
    missing_NF = np.isnan(rows.numeric_NF)
    if rows.lengths_N is not None:  # behind its end, nothing of a sequence is missing
        steps = missing_NF.reshape(size, replicas[0].length, -1)
        steps[np.arange(steps.shape[1]) >= rows.lengths_N[:, None]] = False
    for name, missing in zip(names, missing_NF.sum(axis=0).tolist(), strict=True):
        odd = rows.no_numbers.get(name, {})
        count = missing - sum(odd.values())
        found.append(ColumnReport(column=name, rows=size, missing=count, no_numbers=odd))
    known = zip(*(replica.categories for replica in replicas), strict=True)
    for name, column_N, each in zip(replicas[0].categorical_names, rows.categorical_NK.T, known, strict=True):
        cells = column_N.tolist()
        unknown_N = np.all([category_codes(cells, names) < 0 for names in each], axis=0)
        unseen = _counts(cell for cell, unknown in zip(cells, unknown_N, strict=True) if unknown and cell is not None)
        found.append(ColumnReport(column=name, rows=size, missing=cells.count(None), unseen=unseen))
    vocabulary = {word for replica in replicas for word in replica.words}
    for name, column_N in zip(replicas[0].text_names, rows.texts_NW.T, strict=True):
        words = words_of(column_N.tolist())
        unknown = _counts(word for word in words if word not in vocabulary)
        found.append(
            ColumnReport(
                column=name, rows=size, missing=column_N.tolist().count(None), words=len(words), unknown=unknown
            )
        )
    return tuple(entry for entry in found if entry.missing or entry.no_numbers or entry.unseen or entry.unknown)


def _counts(cells: Iterable[str]) -> dict[str, int]:
    return dict(Counter(cells).most_common())


def _counted(cells: Mapping[str, int]) -> str:
    return listed((f'"{cell}" in {count}' for cell, count in cells.items()), MOST_NAMED)
