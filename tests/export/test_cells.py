"""Cells of tables in an export: read as training reads them, in every form and type, and refused by column and row."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from torch import Tensor

from hpo import models
from hpo.data.columns import cells as trained
from hpo.data.columns.numbers import SIGNS, TYPOGRAPHY
from hpo.data.from_table import dataset_of_table
from hpo.data.preprocessing.apply import features_of_frame
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.table import MISSING, table_of
from hpo.errors import DataError
from hpo.export import cells
from hpo.export.files import json_bytes
from hpo.export.module import module_source
from hpo.studyfile.records import ColumnKind, DataTable
from tests.data.fitting import fit
from tests.export.test_module import config_of, executed

GAPS = st.sampled_from(["", None, "NA", " ? ", "n/a", float("nan")])
CODES = st.sampled_from(["1", "2", "X", "007", "True", "1.50"])
UNSEEN = st.sampled_from(["1.0", 1.0, 2, 7, "7", "true", True, 1.5, "x", "zero"])
TIMES = st.datetimes(min_value=datetime(1700, 1, 1), max_value=datetime(2200, 1, 1))
DATES = TIMES.map(lambda when: f"{when:%Y-%m-%d}") | TIMES.map(lambda when: f"{when:%Y-%m-%d %H:%M}")


def comma(value: float) -> str:
    return f"{value:,.2f}".translate({ord(","): ".", ord("."): ","})


NUMBERS = st.floats(-1e6, 1e6)
COLUMNS: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "plain": (NUMBERS, NUMBERS | st.integers(-9, 9) | GAPS | st.sampled_from(["1.5", "-2", " 3e2 "])),
    "blank": (NUMBERS.map(str) | GAPS, NUMBERS.map(str) | GAPS | st.sampled_from(["-", "n. d.", "Unknown", ".."])),
    "comma": (NUMBERS.map(comma), NUMBERS.map(comma) | GAPS | st.just("0,5")),
    "price": (NUMBERS.map("{:.2f} €".format), NUMBERS.map("{:.2f} €".format) | GAPS),
    "day": (DATES, DATES | GAPS),
    "code": (CODES | GAPS, CODES | UNSEEN | GAPS),
}
"""For each column, cells of training and cells to predict."""
FIRST = {"plain": 1.5, "blank": "1.5", "comma": "1.234,50", "price": "2.50 €", "day": "2026-01-31", "code": "X"}
"""The first row of training, from which each column's form is certain."""


def rows_of(part: int, columns: list[str], size: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    return st.lists(st.fixed_dictionaries({name: COLUMNS[name][part] for name in columns}), min_size=size, max_size=12)


def fitted(rows: list[dict[str, Any]]) -> Preprocessing:
    kinds: dict[str, ColumnKind] = {"code": "categorical"} if "code" in rows[0] else {}
    data = DataTable(dataset="rows", target="y", columns=kinds)
    frame = pd.DataFrame(rows, dtype=object).assign(y=["a", "b"] * (len(rows) // 2) + ["a"] * (len(rows) % 2))
    dataset = dataset_of_table(table_of(frame, "rows", "rows"), data)
    return fit(dataset, np.arange(len(rows)))


def exported(preprocessing: Preprocessing, folder: Path | str) -> Callable[..., Tensor]:
    (Path(folder) / "preprocessing.json").write_bytes(json_bytes([preprocessing.as_dict()]))
    model = models.build(config_of("mlp"), preprocessing.signature, len(preprocessing.class_names))
    found: Callable[..., Tensor] = executed(module_source("Trial 1", model, preprocessing, replicas=1), folder)[
        "preprocess"
    ]
    return found


def same(preprocessing: Preprocessing, rows: list[dict[str, Any]]) -> None:
    frame = pd.DataFrame(rows, columns=[*preprocessing.numeric_names, *preprocessing.categorical_names], dtype=object)
    expected = features_of_frame(preprocessing, frame)
    with TemporaryDirectory() as folder:
        preprocess = exported(preprocessing, folder)
        for table in (rows, frame, {name: frame[name].tolist() for name in frame}):
            np.testing.assert_allclose(preprocess(table).numpy(), expected, rtol=1e-6, atol=1e-6)


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_an_export_reads_rows_as_training_does(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(list(COLUMNS)), min_size=1, unique=True))
    training = [{name: FIRST[name] for name in names}, *data.draw(rows_of(0, names, size=4))]
    new = data.draw(rows_of(1, names, size=1))
    try:
        preprocessing = fitted(training)
        features_of_frame(preprocessing, pd.DataFrame(new, dtype=object))
    except DataError:  # e.g. nothing but constant columns, or a number too large beside those of training
        reject()
    same(preprocessing, new)


@pytest.mark.parametrize(("pattern", "texts"), [(cells.MISSING, MISSING), (cells.BLANK, trained.BLANKS)])
def test_the_same_cells_are_missing_as_in_training(pattern: str, texts: tuple[str, ...]) -> None:
    assert [text for text in {*MISSING, *trained.BLANKS} if re.fullmatch(pattern, text)] == [
        text for text in {*MISSING, *trained.BLANKS} if text in texts
    ]


def test_signs_and_blanks_are_those_of_training() -> None:
    assert f"[{SIGNS}]" == cells.SIGN
    assert {code: ord(mark) for code, mark in TYPOGRAPHY.items()} == cells.TYPOGRAPHY


TRAINED = [
    {"area": 1.5, "day": "2026-01-31", "price": "1.234,50", "code": "1"},
    {"area": 2.5, "day": "2026-02-01", "price": "2,50", "code": "2"},
    {"area": None, "day": "2026-02-01", "price": "-", "code": "X"},
]
REFUSED = [
    ({"area": "many"}, "column \"area\", row 2: 'many' is no number"),
    ({"area": "1,5"}, "column \"area\", row 2: '1,5' is no number"),
    ({"area": True}, 'column "area", row 2: True is no number'),
    ({"area": float("inf")}, 'column "area", row 2: too large a number'),
    ({"price": "1.5"}, "column \"price\", row 2: '1.5' is no number"),
    ({"day": "31.1.2026"}, "column \"day\", row 2: '31.1.2026' is no date"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_refused_is_named_by_column_and_row(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    preprocess = exported(fitted(TRAINED), tmp_path)
    with pytest.raises(ValueError, match=re.escape(message)):
        preprocess([TRAINED[0], TRAINED[0] | change])


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    preprocess = exported(fitted(TRAINED), tmp_path)
    with pytest.raises(KeyError, match='row 2 has no column "price"'):
        preprocess([TRAINED[0], {"area": 1, "day": None, "code": "1"}])
    with pytest.raises(KeyError, match="price"):
        preprocess({"area": [1], "day": [None], "code": ["1"]})


def test_dates_are_read_in_every_type_and_length() -> None:
    for day in ("1971-01-01", "1971", "1971-01", "1971-01-01T00:00Z", "1971-01-01 02:00+02:00", datetime(1971, 1, 1)):
        assert cells.days_of(day) == 365
    assert cells.days_of(pd.Timestamp(1971, 1, 1, 12, tz="UTC")) == 365.5
    assert np.isnan(cells.days_of(pd.NaT))
