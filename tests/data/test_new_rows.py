"""Rows to predict: read as training read its own, and what is odd in them told by column."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.data.catalogue import load_dataset
from hpo.data.new_rows import read_rows, report
from hpo.data.preprocessing.apply import apply, features_of_frame
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.readers import read_file
from hpo.errors import DataError
from hpo.studyfile.records import DataTable
from tests.data.fitting import columns_of, fit

COLOURS = ["red", "green", "blue"]
CODES = ["1", "2", "X"]
TABLE = "colour,code,member,a,label\n" + "".join(
    f"{COLOURS[n % 3]},{CODES[n % 3]},{str(n % 2 == 0).lower()},{n / 7:.2f},{'pq'[n % 2]}\n" for n in range(12)
)
NEW = "a,member,code,colour\n0.1,True,1.0,RED\n0.1,FALSE,2,green\n,yes,X,violet\n-,?,007,violet\n"


def fitted(folder: Path, text: str, **settings: Any) -> Preprocessing:
    (folder / "t.csv").write_text(text)
    dataset = load_dataset(DataTable.model_validate({"dataset": "t.csv", "target": "label", **settings}), folder)
    return fit(dataset, np.arange(dataset.size))


def read(folder: Path, preprocessing: Preprocessing, text: str) -> pd.DataFrame:
    (folder / "n.csv").write_text(text)
    data = DataTable(dataset="n.csv")
    return read_file(folder / "n.csv", data, as_text=preprocessing.text_columns).frame


def one_hot(preprocessing: Preprocessing, name: str, cells: list[Any]) -> list[Any]:
    """The category that each cell is taken for, None for none."""
    place = preprocessing.categorical_names.index(name)
    first = len(preprocessing.numeric_names) + len(preprocessing.indicators)
    first += sum(map(len, preprocessing.categories[:place]))
    names = preprocessing.categories[place]
    frame = pd.DataFrame({"colour": None, "code": None, "member": None, "a": 0.0, name: pd.Series(cells)})
    x = features_of_frame(preprocessing, frame)[:, first : first + len(names)]
    assert (x.sum(axis=1) <= 1).all()
    return [names[row.argmax()] if row.any() else None for row in x]


CELLS: list[tuple[str, list[Any], list[str | None]]] = [
    ("code", ["1", "1.0", "2.00", "X"], ["1", "1", "2", "X"]),
    ("code", [1.0, 2.0, np.nan], ["1", "2", None]),
    ("code", [1, 2, 3], ["1", "2", None]),
    ("code", ["007", "01", "1.5", "x", "1e0"], [None] * 5),
    ("member", [True, False], ["true", "false"]),
    ("member", ["TRUE", "False", "1"], ["true", "false", None]),
    ("colour", ["RED", "red ", None], [None, "red", None]),
]


@pytest.mark.parametrize(("name", "cells", "expected"), CELLS)
def test_a_cell_is_the_category_that_it_was_in_training(
    name: str, cells: list[Any], expected: list[str | None], tmp_path: Path
) -> None:
    assert one_hot(fitted(tmp_path, TABLE), name, cells) == expected


def test_a_number_that_two_categories_are_is_neither(tmp_path: Path) -> None:
    preprocessing = fitted(tmp_path, TABLE.replace("X", "1.0"), columns={"code": "categorical"})
    assert one_hot(preprocessing, "code", ["1", "1.0", "1.00", "2.0"]) == ["1", "1.0", None, "2"]


def test_what_is_odd_is_counted_and_named(tmp_path: Path) -> None:
    preprocessing = fitted(tmp_path, TABLE)
    rows = read_rows(preprocessing, read(tmp_path, preprocessing, NEW))
    found = report([preprocessing], rows)
    assert [str(entry) for entry in found] == [
        'Column "a": 1 cell is no number and counts as missing ("-" in 1); 1 of 4 cells is missing.',
        'Column "colour": 3 cells hold categories that training did not have ("violet" in 2, "RED" in 1).',
        'Column "code": 1 cell holds a category that training did not have ("007" in 1).',
        'Column "member": 1 cell holds a category that training did not have ("yes" in 1); 1 of 4 cells is missing.',
    ]
    assert (found[1].unseen, found[0].no_numbers) == ({"violet": 2, "RED": 1}, {"-": 1})
    fine = read(tmp_path, preprocessing, TABLE)
    assert report([preprocessing], read_rows(preprocessing, fine)) == ()


def test_a_category_is_known_if_one_fold_knows_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE)
    dataset = load_dataset(DataTable(dataset="t.csv", target="label"), tmp_path)
    parts = [np.array([0, 1, 3, 4]), np.array([1, 2, 4, 5])]
    layout = columns_of(dataset, parts)
    folds = [fit(dataset, part, columns=layout) for part in parts]
    rows = read_rows(folds[0], read(tmp_path, folds[0], TABLE))
    assert report(folds, rows) == ()
    assert [entry.unseen for entry in report(folds[:1], rows)] == [{"blue": 4}, {"X": 4}]


COMMAS = "a;label\n" + "".join(f"{text};{'pq'[n % 2]}\n" for n, text in enumerate(["0,5", "1.234,5", "2", "-"] * 3))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a\n1.234\n", 1234),
        ('a\n"1.234,5"\n', 1234.5),
        ("a\n0.25\n0.5\n", 0.25),
        ("b;a\n1;1,25\n", 1.25),
    ],
)
def test_numbers_are_read_in_the_form_of_training_first(text: str, value: float, tmp_path: Path) -> None:
    preprocessing = fitted(tmp_path, COMMAS)
    rows = read_rows(preprocessing, read(tmp_path, preprocessing, text))
    assert rows.numeric_NF[0, 0] == value


def test_a_number_that_may_be_two_is_refused_with_a_way_out(tmp_path: Path) -> None:
    preprocessing = fitted(tmp_path, TABLE)
    frame = pd.DataFrame({"colour": ["red"], "code": ["1"], "member": ["true"], "a": ["1,234"]})
    with pytest.raises(DataError, match=r'Column "a" holds "1,234".*Write the numbers without marks between thousands'):
        features_of_frame(preprocessing, frame)
    frame["a"] = "1.234"
    assert read_rows(preprocessing, frame).numeric_NF[0, 0] == 1.234


def test_training_reads_parts_that_it_does_not_learn_from_like_new_rows(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(TABLE + "red,1.0,true,1.0,p\n")
    dataset = load_dataset(DataTable.model_validate({"dataset": "t.csv", "target": "label"}), tmp_path)
    preprocessing = fit(dataset, np.arange(12))
    frame = pd.DataFrame({"colour": ["red"], "code": [1.0], "member": [True], "a": [1.0]})
    np.testing.assert_array_equal(
        apply(preprocessing, dataset, np.array([12])), features_of_frame(preprocessing, frame)
    )


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    frame = pd.DataFrame([["red", "1", "true", 1.0, 2.0]], columns=["colour", "code", "member", "a", "a"])
    with pytest.raises(DataError, match='The table: column name "a" occurs 2 times'):
        read_rows(fitted(tmp_path, TABLE), frame)
