"""Tables that people have and that are easily read wrong: each is read right, or refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset
from hpo.data.from_table import without_texts
from hpo.data.notes import grouped
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

Load = Callable[..., Dataset]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(content: str | bytes, **settings: object) -> Dataset:
        (tmp_path / "t.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
        data = DataTable.model_validate({"dataset": "t.csv", "target": "label", **settings})
        return load_dataset(data, tmp_path)

    return load


def column(name: str, cells: list[str], separator: str = ",") -> str:
    """A table with the column, a plain one and a target."""
    lines = [separator.join((cell, str(row % 7), "ab"[row % 2])) for row, cell in enumerate(cells)]
    return "\n".join([separator.join((name, "plain", "label")), *lines, ""])


def test_decimal_commas_are_numbers_and_told_once(load: Load) -> None:
    dataset = load(column("x", [f"{n},{n}3" for n in range(30)], ";"))
    assert dataset.numeric_names == ("x", "plain")
    np.testing.assert_allclose(dataset.numeric[:, 0], [float(f"{n}.{n}3") for n in range(30)])
    assert grouped(dataset.notes) == ["Read as numbers with a decimal comma: x."]


def test_a_target_with_decimal_commas_is_a_quantity(load: Load) -> None:
    dataset = load("a;label\n" + "".join(f"{n % 5};{n},5\n" for n in range(30)))
    assert (dataset.task, dataset.target_N[3]) == ("regression", 3.5)


def test_a_mark_that_may_be_either_is_refused_with_the_way_out(load: Load) -> None:
    table = column("x", [f'"{n},{n}00"' for n in range(1, 9)])
    with pytest.raises(DataError, match=r'column "x" holds "1,100".*data.thousands = ","'):
        load(table)
    assert load(table, thousands=",").numeric[0, 0] == 1100
    assert load(table, decimal=",").numeric[0, 0] == 1.1


@pytest.mark.parametrize("marker", ["n.d.", "-", "--", "unknown", "N.D."])
def test_marks_of_missing_values_among_numbers_are_missing_and_named(load: Load, marker: str) -> None:
    cells = [f"{n}.5" for n in range(40)]
    cells[4] = cells[20] = marker
    dataset = load(column("x", cells))
    assert np.flatnonzero(np.isnan(dataset.numeric[:, 0])).tolist() == [4, 20]
    assert grouped(dataset.notes) == [f"Cells without a number count as missing: x ('{marker}' in rows 5, 21)."]


def test_an_odd_cell_among_numbers_is_refused_until_it_is_declared(load: Load) -> None:
    table = column("x", [*(f"{n}.5" for n in range(10)), "oops"])
    with pytest.raises(DataError, match=r'"oops" in row 11.*\[data.columns\] x = "numeric"'):
        load(table)
    assert np.isnan(load(table, columns={"x": "numeric"}).numeric[10, 0])
    assert load(table, columns={"x": "categorical"}).categorical_names == ("x",)
    assert load(table, columns={"x": "ignored"}).numeric_names == ("plain",)


def test_codes_of_whole_numbers_and_letters_are_categories(load: Load) -> None:
    dataset = load(column("code", ["1", "2", "X"] * 10))
    assert dataset.categorical_NK[:3, 0].tolist() == ["1", "2", "X"]


def test_whole_numbers_can_be_declared_codes(load: Load) -> None:
    table = column("plz", ["01067", "04109", "80331"] * 10)
    found = load(table)
    assert found.numeric_names == ("plz", "plain")
    assert re.search(r"Numbers with leading zeros .*: plz \(e.g. 0\d+\)", str(found.notes[0]))
    declared = load(table, columns={"plz": "categorical"})
    assert declared.categorical_NK[:3, 0].tolist() == ["01067", "04109", "80331"]
    assert declared.notes == ()


def test_a_separator_inside_quotes_is_none(load: Load) -> None:
    dataset = load('"height, cm, mean";"weight, kg";label\n0.13;-0.13;no\n0.10;-0.54;no\n1.30;0.95;yes\n')
    assert dataset.numeric_names == ("height, cm, mean", "weight, kg")


def test_what_spreadsheets_write_above_the_names(load: Load) -> None:
    rows = "a;b;label\n0.1;1;no\n0.2;2;yes\n"
    plain = load(rows)
    assert load("sep=;\n" + rows).fingerprint == plain.fingerprint
    assert load(rows.replace("\n", "\r")).fingerprint == plain.fingerprint
    assert load(rows.encode("utf-16")).fingerprint == plain.fingerprint
    with pytest.raises(DataError, match='line 1: "# by instrument 7" looks like a comment'):
        load("# by instrument 7\n" + rows)


def test_encodings_are_named_or_declared(load: Load) -> None:
    table = column("x", ["caf\u00e9", "th\u00e9"] * 5).encode("cp1252")
    with pytest.raises(DataError, match=r'line 2: byte 0xe9 is not UTF-8.*data.encoding = "cp1252"'):
        load(table)
    assert load(table, encoding="cp1252").categorical_NK[0, 0] == "caf\u00e9"
    with pytest.raises(DataError, match='no encoding "cp12520"'):
        load(table, encoding="cp12520")


def test_short_rows_are_refused_like_long_ones(load: Load) -> None:
    with pytest.raises(DataError, match=r"2 rows have fewer cells than the first line has names \(3\): rows 2, 4"):
        load("a,b,label\n1,2,x\n3,4\n5,6,y\n7\n8,9,x\n")


def test_dates_are_days(load: Load) -> None:
    dataset = load(column("day", [f"2026-01-{n:02}" for n in range(1, 31)]))
    assert np.diff(dataset.numeric[:, 0]).tolist() == [1.0] * 29
    assert load(column("day", ["1970-01-02 12:00"] * 3 + ["1970-01-01"] * 3)).numeric[0, 0] == 1.5
    assert load(column("day", ["9999-12-31", "2026-01-01"] * 3)).numeric[0, 0] == 2932896
    with pytest.raises(DataError, match='holds "soon" in row 3, and a date is written like'):
        load(column("day", ["2026-01-01", "", "soon"]), columns={"day": "date"})


def test_a_declared_column_must_exist(load: Load) -> None:
    with pytest.raises(DataError, match=r"data.columns: .* has no column other. Columns: x, plain, label"):
        load(column("x", ["1", "2"]), columns={"other": "numeric"})


def test_texts_are_kept_for_models_that_take_words_and_else_left_out_with_a_note(load: Load) -> None:
    cells = [f"a rather long review number {n}" for n in range(60)]
    for declared in ({}, {"columns": {"review": "text"}}):
        dataset = load(column("review", cells), **declared)
        assert (dataset.numeric_names, dataset.categorical_names, dataset.text_names) == (("plain",), (), ("review",))
        assert (dataset.kind, dataset.texts_NW.tolist()) == ("tabular", [[cell] for cell in cells])
        left = without_texts(dataset)
        assert (left.text_names, left.texts_NW) == ((), None)
        assert "holds texts, and no model of this study takes words: review" in str(left.notes[-1])
        alone = "review,label\n" + "".join(f"{cell},{'ab'[n % 2]}\n" for n, cell in enumerate(cells))
        assert load(alone, **declared).kind == "text"
        with pytest.raises(DataError, match="beside the target there are only texts"):
            without_texts(load(alone, **declared))
