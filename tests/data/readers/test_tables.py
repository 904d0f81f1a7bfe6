"""Parquet, Excel and JSON Lines: the same table as from CSV, and every way in which a file can be wrong."""

from __future__ import annotations

import builtins
import gzip
import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.data.notes import grouped
from tests.data.readers.loading import load, refused

FRAME = pd.DataFrame(
    {
        "age": [31.0, None, 45.0, 28.5] * 5,
        "colour": ["red", "blue", None, "red"] * 5,
        "code": ["007", "7", "12", "7"] * 5,
        "rooms": range(100, 120),
        "label": ["yes", "no", "yes", "no"] * 5,
    }
)
SETTINGS: dict[str, Any] = {"target": "label", "columns": {"code": "categorical", "rooms": "numeric"}}


def write(path: Path, frame: pd.DataFrame = FRAME) -> None:
    if path.suffix == ".xlsx":
        frame.to_excel(path, index=False)
    elif path.suffix in (".parquet", ".pq"):
        frame.to_parquet(path)
    elif ".csv" in path.name:
        frame.to_csv(path, index=False)
    else:
        frame.to_json(path, orient="records", lines=True)


@pytest.mark.parametrize("name", ["t.parquet", "t.pq", "t.xlsx", "t.jsonl", "t.ndjson", "t.jsonl.gz", "t.csv.gz"])
def test_the_same_table_in_every_format(tmp_path: Path, name: str) -> None:
    write(tmp_path / "t.csv")
    write(tmp_path / name)
    plain, found = load(tmp_path, "t.csv", **SETTINGS), load(tmp_path, name, **SETTINGS)
    assert found.fingerprint == plain.fingerprint
    assert found.name == name
    assert found.categorical_names == ("colour", "code")
    assert found.categorical_NK[:4, 1].tolist() == ["007", "7", "12", "7"]


@pytest.mark.parametrize("name", ["t.parquet", "t.xlsx"])
def test_dates_keep_their_type(tmp_path: Path, name: str) -> None:
    frame = FRAME.assign(day=[None, *(datetime(2026, 1, day) for day in range(1, 20))])
    write(tmp_path / name, frame)
    found = load(tmp_path, name, **SETTINGS)
    days = found.numeric[:, found.numeric_names.index("day")]
    assert np.isnan(days[0])
    assert np.diff(days[1:]).tolist() == [1.0] * 18


def test_parquet_has_types_of_its_own(tmp_path: Path) -> None:
    frame = FRAME.assign(
        price=[Decimal(f"{row}.10") for row in range(20)],
        kind=pd.Categorical(["a", "b"] * 10),
        raw=[b"x", b"y"] * 10,
        day=pd.to_datetime(["2026-01-01", "2026-01-03"] * 10).date,
    ).set_index("age", drop=False)
    frame.to_parquet(tmp_path / "t.parquet")
    found = load(tmp_path, "t.parquet", **SETTINGS)
    assert found.categorical_names == ("colour", "code", "kind", "raw")
    assert found.numeric[3, found.numeric_names.index("price")] == 3.1
    assert found.numeric[1, found.numeric_names.index("day")] - found.numeric[0, found.numeric_names.index("day")] == 2
    FRAME.assign(raw=[b"\xff"] * 20).to_parquet(tmp_path / "t.parquet")
    assert 'column "raw", of type binary, cannot be read' in refused(tmp_path, "t.parquet", **SETTINGS)
    FRAME.assign(lists=[[1, 2]] * 20).to_parquet(tmp_path / "t.parquet")
    assert 'column "lists" holds lists' in refused(tmp_path, "t.parquet", **SETTINGS)


def test_the_first_sheet_is_read(tmp_path: Path) -> None:
    with pd.ExcelWriter(tmp_path / "t.xlsx") as book:
        FRAME.to_excel(book, sheet_name="data", index=False)
        FRAME[["age"]].to_excel(book, sheet_name="notes", index=False)
    assert "The file has 2 sheets; the first, data, was read." in grouped(load(tmp_path, "t.xlsx", **SETTINGS).notes)
    FRAME.to_excel(tmp_path / "t.xlsx", index=False, startrow=2)
    assert "row 1 of the first sheet, Sheet1, must hold" in refused(tmp_path, "t.xlsx", **SETTINGS)
    pd.DataFrame().to_excel(tmp_path / "t.xlsx", index=False)
    assert "the first sheet, Sheet1, is empty" in refused(tmp_path, "t.xlsx", **SETTINGS)
    pd.DataFrame([[1, 2, "a"]] * 9, columns=["x", "x", "label"]).to_excel(tmp_path / "t.xlsx", index=False)
    assert 'column name "x" occurs 2 times' in refused(tmp_path, "t.xlsx", **SETTINGS)


def test_cells_that_lines_lack_are_missing(tmp_path: Path) -> None:
    lines = [{"a": n, "label": "xy"[n % 2]} | ({"b": n * 2.5} if n % 3 else {}) for n in range(9)]
    (tmp_path / "t.jsonl").write_text("\n\n".join(map(json.dumps, lines)))
    found = load(tmp_path, "t.jsonl", target="label")
    assert np.flatnonzero(np.isnan(found.numeric[:, 1])).tolist() == [0, 3, 6]


def test_labels_are_the_text_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text("".join(f'{{"a": {n}, "label": {["1.10", "1.1"][n % 2]}}}\n' for n in range(9)))
    assert load(tmp_path, "t.jsonl", target="label").class_names == ("1.1", "1.10")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (b'{"a": 1}\n{"a": 2', "line 2: it is not JSON: Expecting ',' delimiter"),
        (b'{"a": 1}\n\n[1, 2]\n', "line 3: it holds [1, 2], and must be an object"),
        (b'{"a": 1, "b": {"c": 1}}\n', 'line 1: "b" is an object, and a cell must be one value'),
        (b'{"a": [1]}\n', 'line 1: "a" is a list'),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2: byte 0xff is not UTF-8"),
        (b"\n \n", "the file is empty"),
        (b"{}\n", "it has 0 columns and no rows"),
        (b"[" * 100_000, "line 1: it is not JSON"),
        (b"1" * 100_000, "line 1: it is not JSON"),
    ],
)
def test_lines_that_are_no_rows(tmp_path: Path, lines: bytes, message: str) -> None:
    (tmp_path / "t.jsonl").write_bytes(lines)
    assert f"{tmp_path / 't.jsonl'}" in refused(tmp_path, "t.jsonl", target="a")
    assert message in refused(tmp_path, "t.jsonl", target="a")


@pytest.mark.parametrize(
    ("name", "form"), [("t.parquet", "Parquet"), ("t.xlsx", "Excel (.xlsx)"), ("t.jsonl.gz", "gzip")]
)
def test_damaged_files_are_named(tmp_path: Path, name: str, form: str) -> None:
    assert f"{tmp_path / name}: no such file" in refused(tmp_path, name, target="label")
    write(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for content in (b"", whole[: len(whole) // 2], whole[:-20], b"PK\x03\x04" + b"\0" * 50):
        (tmp_path / name).write_bytes(content)
        said = refused(tmp_path, name, target="label")
        assert str(tmp_path / name) in said
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert form in refused(tmp_path, name, target="label")
    (tmp_path / "t.jsonl.gz").write_bytes(gzip.compress(b'{"a": 1'))
    assert "line 1: it is not JSON" in refused(tmp_path, "t.jsonl.gz", target="a")


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [("t.parquet", "pyarrow", "parquet"), ("t.xlsx", "openpyxl", "excel"), ("photos", "PIL", "images")],
)
def test_what_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    (tmp_path / "photos").mkdir()
    for table in ("t.parquet", "t.xlsx"):
        write(tmp_path / table)
    plain = builtins.__import__

    def without(module: str, *rest: Any) -> Any:
        if module.split(".")[0] == package:
            raise ImportError(module)
        return plain(module, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    assert f"pip install 'hpo[{extra}]'" in refused(tmp_path, name, target="label")
