"""Parts that the data give: a file for the test part, a column of parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.parts.splits import Splits, split_data
from hpo.studyfile.records import DataTable
from tests.data.readers.loading import load, refused


def rows(count: int, first: int = 0, extra: str = "") -> str:
    return "".join(f"{n},{n % 7},{'ab'[n % 2]}{extra}\n" for n in range(first, first + count))


def parts(base: Path, dataset: str = "t.csv", **settings: Any) -> Splits:
    found = load(base, dataset, target="label", **settings)
    data = DataTable.model_validate({"dataset": dataset, **settings})
    return split_data(found, data, seed=0)


def write(base: Path, *marks: str) -> None:
    """A table with a row for each mark of a part, in its column `Part`."""
    lines = [f"{n},{n % 7},{'ab'[n // 2 % 2]},{mark}" for n, mark in enumerate(marks)]
    (base / "t.csv").write_text("\n".join(["x,plain,label,Part", *lines, ""]))


def test_a_file_is_the_test_part(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,plain,label\n" + rows(40))
    (tmp_path / "test.csv").write_text("plain,x,label\n" + "".join(f"3,{n},{'ab'[n % 2]}\n" for n in range(10)))
    splits = parts(tmp_path, test="test.csv")
    assert splits.test_idx.tolist() == list(range(40, 50))
    assert len(splits.replicas[0].valid_idx) == 8
    assert len(splits.replicas[0].train_idx) == 32
    found = load(tmp_path, "t.csv", target="label", test="test.csv")
    assert found.numeric[40].tolist() == [0, 3]
    assert found.fingerprint != load(tmp_path, "t.csv", target="label").fingerprint
    folds = parts(tmp_path, test="test.csv", folds=4, repeats=2)
    assert len(folds.replicas) == 8
    assert sorted(np.concatenate([r.valid_idx for r in folds.replicas[:4]])) == list(range(40))
    shares = {(record["part"], record["group"]): record["share"] for record in splits.balance}
    assert shares["test", "a"] == shares["train", "b"] == 0.5


def test_a_file_of_other_columns_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("x,plain,label\n" + rows(40))
    (tmp_path / "test.csv").write_text("x,label,other\n1,a,2\n")
    said = refused(tmp_path, "t.csv", target="label", test="test.csv")
    assert f"{tmp_path / 'test.csv'} lacks plain and has other besides" in said
    assert "absent.csv: no such file" in refused(tmp_path, "t.csv", target="label", test="absent.csv")
    np.savez(tmp_path / "test.npz", X=np.ones((3, 2)), y=[0, 1, 1])
    (tmp_path / "y.csv").write_text("x,y\n1,2\n")
    assert "is not of the same form" in refused(tmp_path, "y.csv", target="y", test="test.npz")
    assert "takes no second file" in refused(tmp_path, "wine", test="test.csv")


def test_arrays_have_a_test_file_too(tmp_path: Path) -> None:
    y = np.arange(20) % 2
    np.savez(tmp_path / "a.npz", X=np.ones((20, 4, 3)) * y[:, None, None], y=y)
    np.savez(tmp_path / "b.npz", X=np.ones((6, 4, 3)), y=y[:6])
    found = load(tmp_path, "a.npz", test="b.npz")
    assert (found.kind, found.size) == ("image", 26)
    np.savez(tmp_path / "b.npz", X=np.ones((6, 4, 4)), y=y[:6])
    assert "has the shape (1, 4, 4)" in refused(tmp_path, "a.npz", test="b.npz")
    assert "is no table" in refused(tmp_path, "a.npz", split="part")
    lengths = np.array([1, 3] * 10)
    np.savez(tmp_path / "a.npz", X=np.ones((40, 2)), y=y, lengths=lengths)
    np.savez(tmp_path / "b.npz", X=np.ones((30, 2)), y=y[:6], lengths=np.full(6, 5))
    found = load(tmp_path, "a.npz", test="b.npz")
    assert (found.kind, found.numeric.shape) == ("sequence", (26, 5, 2))
    assert found.lengths_N is not None
    assert found.lengths_N.tolist() == [*lengths, *[5] * 6]


def test_a_column_gives_all_parts(tmp_path: Path) -> None:
    marks = ["train", "Train", "TRAINING", "fit"] * 5 + ["val", "Valid", "dev", "validation"] + ["test", "Testing"] * 2
    write(tmp_path, *marks)
    splits = parts(tmp_path, split="Part", repeats=2)
    for replica in splits.replicas:
        assert replica.train_idx.tolist() == list(range(20))
        assert replica.valid_idx.tolist() == [20, 21, 22, 23]
    assert splits.test_idx.tolist() == [24, 25, 26, 27]
    assert len(splits.replicas) == 2
    assert load(tmp_path, "t.csv", target="label", split="Part").numeric_names == ("x", "plain")


@pytest.mark.parametrize(
    ("marks", "settings", "sizes"),
    [
        (["train"] * 40 + ["test"] * 6, {}, (32, 8, 6)),
        (["train"] * 40 + ["val"] * 6, {}, (32, 6, 8)),
        (["train"] * 40 + ["val"] * 6, {"test": 0.0}, (40, 6, 0)),
        (["train"] * 40, {}, (24, 8, 8)),
        (["train"] * 40 + ["test"] * 6, {"folds": 4}, (30, 10, 6)),
    ],
)
def test_parts_that_are_not_given_are_drawn_from_the_train_rows(
    tmp_path: Path, marks: list[str], settings: dict[str, Any], sizes: tuple[int, int, int]
) -> None:
    write(tmp_path, *marks)
    splits = parts(tmp_path, split="Part", **settings)
    first = splits.replicas[0]
    assert (len(first.train_idx), len(first.valid_idx), len(splits.test_idx)) == sizes
    assert [mark for place, mark in enumerate(marks) if place in first.train_idx] == ["train"] * sizes[0]


def test_columns_that_give_no_parts_are_refused(tmp_path: Path) -> None:
    write(tmp_path, *["train"] * 10, "later", "")
    said = refused(tmp_path, "t.csv", target="label", split="Part")
    assert "column \"Part\", data.split, holds 'later' in rows 11, 12. Each row needs one of: train," in said
    assert 'no column "part". Did you mean "Part"?' in refused(tmp_path, "t.csv", target="label", split="part")


@pytest.mark.parametrize(
    ("marks", "settings", "message"),
    [
        (["test"] * 8 + ["val"] * 8, {}, "no row of t.csv is of the part train"),
        (["train"] * 20 + ["val"] * 8, {"folds": 3}, "gives its own validation part (8 rows)"),
        (["val", "val", "train", "train"] * 8, {"test": 0.0}, 'class "a" of t.csv is in no row to train on'),
        (["test", "test", "train", "train"] * 8, {}, 'class "a" of t.csv has 0 examples'),
    ],
)
def test_parts_that_cannot_be_used(tmp_path: Path, marks: list[str], settings: dict[str, Any], message: str) -> None:
    write(tmp_path, *marks)
    with pytest.raises(Exception, match="data") as caught:
        parts(tmp_path, split="Part", **settings)
    assert message in str(caught.value)


def test_a_quantity_has_given_parts(tmp_path: Path) -> None:
    lines = [f"{n % 7},{n * 1.5},{'test' if n % 4 == 0 else 'train'}" for n in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["x,label,part", *lines, ""]))
    splits = parts(tmp_path, split="part")
    assert splits.test_idx.tolist() == list(range(0, 60, 4))
    assert sum(record["count"] for record in splits.balance if record["part"] == "all") == 60
