"""Streamed data give what the same data in memory give: examples, splits, statistics, rows as models take them."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hpo.data.describe import describe
from hpo.data.prepare import prepare_test
from hpo.data.preprocessing import scaling
from hpo.data.preprocessing.scaling import mean_and_spread
from hpo.data.streaming import mapped, prepared, row_file
from hpo.data.streaming.moments import mean_and_spread_of
from hpo.errors import DataError, MachineError
from tests.data.streaming.files import KINDS, ROWS, loaded, rows_of_numbers, write


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many pieces as large files have."""
    monkeypatch.setattr(mapped, "PORTION", 120)
    monkeypatch.setattr(prepared, "BUCKET", 500)


def in_one_order(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    rows = np.column_stack([x.reshape(len(x), -1), y])
    return rows[np.lexsort(np.round(rows, 3).T)]


@pytest.mark.parametrize("scale", ["standard", "log", "robust", "none"])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_those_of_data_in_memory(tmp_path: Path, kind: str, scale: str) -> None:
    keys = write(tmp_path, kind) | {"folds": 3, "scaling": scale}
    dataset, splits, found = loaded(tmp_path, tmp_path / "home", stream=True, **keys)
    expected_dataset, expected_splits, expected = loaded(tmp_path, **keys)
    assert (dataset.kind, dataset.task, dataset.class_names) == (
        expected_dataset.kind,
        expected_dataset.task,
        expected_dataset.class_names,
    )
    assert dataset.numeric_names == expected_dataset.numeric_names
    assert splits.fingerprint == expected_splits.fingerprint
    assert splits.repeats == expected_splits.repeats
    assert found.signature == expected.signature
    for mine, other in zip(found.replicas, expected.replicas, strict=True):
        np.testing.assert_allclose(mine.x_valid, other.x_valid, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(mine.y_valid, other.y_valid)
        assert not np.array_equal(mine.y_train, other.y_train), "rows to train on are shuffled"
        np.testing.assert_allclose(
            in_one_order(mine.x_train, mine.y_train), in_one_order(other.x_train, other.y_train), rtol=1e-4, atol=1e-5
        )
        test, expected_test = (
            prepare_test(a, b, c.preprocessing)
            for a, b, c in ((dataset, splits, mine), (expected_dataset, expected_splits, other))
        )
        np.testing.assert_allclose(test.x, expected_test.x, rtol=1e-5, atol=1e-6)


def test_quantiles_of_few_rows_are_those_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = write(tmp_path, "rows") | {"scaling": "quantile"}
    _, _, found = loaded(tmp_path, stream=True, **keys)
    _, _, expected = loaded(tmp_path, **keys)
    assert found.replicas[0].preprocessing.knots == expected.replicas[0].preprocessing.knots
    monkeypatch.setattr(scaling, "RANKED", 60)
    _, _, sampled = loaded(tmp_path, stream=True, **keys)
    assert sampled.replicas[0].preprocessing.knots != expected.replicas[0].preprocessing.knots


@pytest.mark.parametrize("portion", [1, 7, 100])
def test_moments_of_portions_are_those_of_the_whole(portion: int) -> None:
    x = np.random.default_rng(0).normal(size=(100, 6)) * [1, 1e-20, 1e10, 1, 0, 1] + [1e6, 0, 0, 0, 0.1, 0]
    x[:, 5] = np.nan
    x[np.random.default_rng(1).random(x.shape) < 0.2] = np.nan
    found = mean_and_spread_of(x[begin : begin + portion] for begin in range(0, 100, portion))
    for mine, expected in zip(found, mean_and_spread(x), strict=True):
        np.testing.assert_allclose(mine, expected, rtol=1e-9)
    assert found[1][4] == 1.0, "a constant column has no spread"


def test_statistics_are_of_the_training_part_alone(tmp_path: Path) -> None:
    keys = write(tmp_path, "images") | {"stream": True}
    _, splits, before = loaded(tmp_path, **keys)
    x = np.load(tmp_path / "X.npy")
    for idx in (splits.test_idx, splits.replicas[0].valid_idx):
        x[idx] = 255 - x[idx]
    np.save(tmp_path / "X.npy", x)
    _, again, after = loaded(tmp_path, **keys)
    assert again.fingerprint == splits.fingerprint
    assert after.replicas[0].preprocessing == before.replicas[0].preprocessing
    np.testing.assert_array_equal(after.replicas[0].x_train, before.replicas[0].x_train)


def test_rows_are_written_once_and_again_where_the_file_is_not_whole(tmp_path: Path) -> None:
    home = tmp_path / "home"
    keys = write(tmp_path, "parquet") | {"stream": True}

    def written() -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in (home / "cache" / "rows").iterdir()}

    _, _, found = loaded(tmp_path, home, **keys)
    first, x_train = written(), np.array(found.replicas[0].x_train)
    loaded(tmp_path, home, **keys)
    assert written() == first
    path = Path(str(found.replicas[0].x_train.filename))  # type: ignore[attr-defined]
    os.truncate(path, 10)
    _, _, found = loaded(tmp_path, home, **keys)
    assert {name for name, inode in written().items() if first[name] != inode} == {path.name}
    np.testing.assert_array_equal(found.replicas[0].x_train, x_train)


def test_files_that_were_not_used_for_long_are_deleted(tmp_path: Path) -> None:
    row_file.make_room(tmp_path, 0)
    for name, age in (("old", 2 * row_file.UNUSED), ("new", 0.0)):
        (tmp_path / name).write_bytes(b"")
        then = os.stat(tmp_path / name).st_mtime - age
        os.utime(tmp_path / name, (then, then))
    row_file.make_room(tmp_path, 0)
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_files_in_use_stay_however_old_they_are(tmp_path: Path) -> None:
    """The rows of a study that trains for longer than a week, whose file nobody opens meanwhile."""
    file = row_file.file_of(tmp_path, (2, 3), "rows")
    file.path.write_bytes(np.arange(6, dtype=np.float32).tobytes())
    rows: Any = file.mapped()
    age = time.time() - 2 * row_file.UNUSED
    os.utime(file.path, (age, age))
    row_file.make_room(tmp_path, 0)
    assert file.read(0, 2).tolist() == rows.tolist() == [[0, 1, 2], [3, 4, 5]]
    del rows
    row_file.make_room(tmp_path, 0)
    assert not file.path.exists()


def test_other_content_is_other_data(tmp_path: Path) -> None:
    keys = write(tmp_path, "images") | {"stream": True}
    before = loaded(tmp_path, **keys)[0].fingerprint
    assert loaded(tmp_path, **keys)[0].fingerprint == before
    x = np.load(tmp_path / "X.npy")
    x[-1, -1, -1] ^= 1
    np.save(tmp_path / "X.npy", x)
    assert loaded(tmp_path, **keys)[0].fingerprint != before


def test_parts_and_times_of_a_parquet_file(tmp_path: Path) -> None:
    x, y = rows_of_numbers()
    parts = np.array(["train"] * 4 + ["test"])[np.arange(ROWS) % 5]
    frame = pd.DataFrame(x, columns=list("abcdef")).assign(part=parts, when=np.arange(ROWS), kind=y)
    frame.to_parquet(tmp_path / "X.parquet")
    keys = {"dataset": "X.parquet", "target": "kind", "stream": True}
    dataset, splits, _ = loaded(tmp_path, **keys, split="part")
    np.testing.assert_array_equal(splits.test_idx, np.flatnonzero(parts == "test"))
    assert "part" not in dataset.numeric_names
    dataset, splits, _ = loaded(tmp_path, **keys, time="when", columns={"part": "ignored"}, task="regression")
    assert "when" in dataset.numeric_names
    np.testing.assert_array_equal(splits.test_idx, np.arange(ROWS - 48, ROWS))


def test_what_is_found_in_streamed_data_is_of_a_sample(tmp_path: Path) -> None:
    keys = write(tmp_path, "rows")
    found = describe(loaded(tmp_path, stream=True, **keys)[0])
    expected = describe(loaded(tmp_path, **keys)[0])
    assert "at equal distances" in found.notes[0].text
    assert replace(found, notes=()) == replace(expected, notes=())


def _text_column(folder: Path) -> dict[str, Any]:
    pd.DataFrame({"a": [1.0, 2.0], "name": ["x", "y"], "y": [0, 1]}).to_parquet(folder / "X.parquet")
    return {"dataset": "X.parquet", "target": "y"}


def _number(value: float) -> Any:
    def make(folder: Path) -> dict[str, Any]:
        keys = write(folder, "images")
        x = np.load(folder / "X.npy").astype(np.float32)
        x[17, 2, 1] = value
        np.save(folder / "X.npy", x)
        return keys

    return make


@pytest.mark.parametrize(
    ("make", "keys", "said"),
    [
        (lambda _: {"dataset": "a.csv"}, {}, "only these are streamed"),
        (lambda _: {"dataset": "digits"}, {}, "only .npy and Parquet"),
        (lambda _: {"dataset": "a.py:f"}, {}, "only .npy and Parquet"),
        (lambda _: {"dataset": "absent.npy"}, {}, "no such file"),
        (_text_column, {}, 'column "name" is of type .*string.*ignored'),
        (_text_column, {"target": "z"}, 'no column "z"'),
        (_text_column, {"columns": {"b": "ignored"}}, "no column b"),
        (lambda folder: write(folder, "rows"), {"test": "more.npy"}, "Give a share"),
        (lambda folder: write(folder, "rows"), {"split": "part"}, "is no table"),
        (lambda folder: write(folder, "rows"), {"target": None}, "data.target: missing"),
        (lambda folder: write(folder, "rows"), {"shape": [5, 5]}, "data.shape"),
        (_number(np.nan), {}, "example 18 is missing a number"),
        (_number(np.inf), {}, "example 18 holds inf"),
    ],
)
def test_what_cannot_be_streamed_is_refused(tmp_path: Path, make: Any, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        loaded(tmp_path, **{**make(tmp_path), "stream": True, **keys})


def test_a_full_disk_is_noticed_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = write(tmp_path, "rows") | {"stream": True}
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(MachineError, match=r"GiB are free.*--home"):
        loaded(tmp_path, tmp_path / "home", **keys)
