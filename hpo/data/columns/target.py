"""What is to be predicted: classes, whose labels are the texts that stand in the table, or a number."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.columns.cells import Numbers, refuse_ambiguous, refuse_extremes, to_numbers
from hpo.data.columns.numbers import PLAIN
from hpo.data.dataset import CellForm, Task, suggestion
from hpo.data.notes import Note
from hpo.data.table import Table, distinct, rows
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from pandas import Series

MOST_CLASSES = 20
"""With `task = "auto"`, a target of numbers with more distinct values is a quantity to regress on."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Target:
    """What is to be predicted."""

    name: str
    task: Task
    values_N: NDArray[np.int64] | NDArray[np.float64]
    class_names: tuple[str, ...]
    reason: str
    """Why it is this task, e.g. `3 distinct texts`."""
    notes: tuple[Note, ...]


def target_column(table: Table, data: DataTable) -> str:
    """The name of the column to predict. Raises `DataError` where none is named, or there is none of this name."""
    names = list(table.frame.columns)
    wanted = data.target or table.target
    if wanted is None:
        raise DataError(f"data.target: missing. Name the column of {table.place} to predict, one of: {listed(names)}.")
    if wanted not in names:
        import pandas as pd

        numbers = to_numbers(pd.Series(names, dtype=object))
        hint = "" if len(numbers.strays) == len(names) else " The first line of the file must hold the columns' names."
        raise DataError(
            f'data.target: {table.place} has no column "{wanted}".{suggestion(wanted, names)}'
            f" Columns: {listed(names)}.{hint}"
        )
    return wanted


def read_target(table: Table, data: DataTable) -> Target:
    """The target as class indices or numbers.

    A class is named by the text that stands in the table, so `007` and `7`, or `1.1` and `1.10`, are two. Classes that
    are numbers are in the order of these. Raises `DataError` if a cell is missing, is no number where one is needed, or
    all cells are alike.
    """
    name = target_column(table, data)
    column = table.frame[name]
    where = f'{table.place}: target "{name}"'
    code_N, words = distinct(column)
    missing = np.flatnonzero(code_N < 0)
    if missing.size:
        raise DataError(
            f"{where} is missing in {rows(missing)}, {missing.size} of {len(column)} rows."
            " Fill in these cells or remove the rows (cells such as ?, NA and None count as missing)."
        )
    labels = sorted({word for word in words if word is not None})
    form = CellForm(kind="numeric", decimal=data.decimal, thousands=data.thousands)
    numbers = to_numbers(column, form, (code_N, words))
    task, reason = (data.task, "data.task says so") if data.task != "auto" else _task(labels, numbers, data, name)
    if task == "regression":
        return _quantity(column, numbers, where, reason)
    if len(labels) == 1:
        raise _nothing_to_learn(labels[0], where)
    if not numbers.strays.size and numbers.ambiguous is None:
        value = dict(zip((words[code] for code in code_N), numbers.values_N, strict=True))
        labels.sort(key=lambda label: (value[label], label))
    position = {label: index for index, label in enumerate(labels)}
    index_U = np.array([-1 if word is None else position[word] for word in words])
    return Target(
        name=name,
        task="classification",
        values_N=index_U[code_N].astype(np.int64),
        class_names=tuple(labels),
        reason=reason,
        notes=tuple(_likeness(labels, numbers)),
    )


def _task(labels: list[str], numbers: Numbers, data: DataTable, name: str) -> tuple[Task, str]:
    """The task, and why. It is regression where the target is numbers of many values, and no codes: these have leading
    zeros, or are too long to be told apart as numbers."""
    if data.columns.get(name) == "categorical":
        return "classification", "declared categorical"
    if numbers.strays.size or numbers.ambiguous is not None:
        return "classification", f"{len(labels)} distinct texts"
    coded = any(label[:1] == "0" and label[1:2].isdigit() for label in labels)
    distinct_numbers = len(np.unique(numbers.values_N))
    whole = all(label.lstrip("+-").isdigit() for label in labels)
    if coded or (whole and distinct_numbers != len(labels)):
        return "classification", f"{len(labels)} distinct codes"
    if distinct_numbers <= MOST_CLASSES:
        return "classification", f"{distinct_numbers} distinct numbers, and up to {MOST_CLASSES} count as classes"
    return "regression", f"{distinct_numbers:,} distinct numbers, more than {MOST_CLASSES}"


def _quantity(column: Series[Any], numbers: Numbers, where: str, reason: str) -> Target:
    if numbers.strays.size:
        raise DataError(
            f'{where} holds "{column.iloc[numbers.strays[0]]}" in {rows(numbers.strays)}, and regression'
            ' needs numbers. Correct the cells, or set data.task = "classification".'
        )
    refuse_ambiguous(numbers, where)
    refuse_extremes(numbers.values_N, where)
    if len(np.unique(numbers.values_N)) == 1:
        raise _nothing_to_learn(f"{numbers.values_N[0]:g}", where)
    note = Note(kind="read_as", text=f"The target was read as numbers with {numbers.form}")
    return Target(
        name=str(column.name),
        task="regression",
        values_N=numbers.values_N,
        class_names=(),
        reason=reason,
        notes=(note,) if numbers.form != PLAIN else (),
    )


def _nothing_to_learn(value: str, where: str) -> DataError:
    return DataError(
        f"{where} is {value} in every row, so there is nothing to learn. Add examples that differ,"
        " or name another column as data.target."
    )


def _likeness(labels: list[str], numbers: Numbers) -> list[Note]:
    """A note where two classes are the same number."""
    if numbers.strays.size or numbers.form != PLAIN or len({Decimal(label) for label in labels}) == len(labels):
        return []
    text = (
        "Some classes are the same number, written in two ways; they are classes of their own. If they are one class, "
        "write them alike"
    )
    return [Note(kind="suspicious", text=text)]
