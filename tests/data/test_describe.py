"""What is found in a data set: columns by kind, missing cells, target, copies and skew; like notes become one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hpo.cli.terminal.found import found_rows
from hpo.data.catalogue import load_dataset
from hpo.data.describe import SKEWED, Description, describe, skewness
from hpo.data.notes import Note, grouped
from hpo.studyfile.records import DataTable


def described(folder: Path, text: str, **settings: object) -> Description:
    (folder / "t.csv").write_text(text)
    data = DataTable.model_validate({"dataset": "t.csv", "target": "label", **settings})
    return describe(load_dataset(data, folder))


def table(**columns: list[object]) -> str:
    lines = [columns.keys(), *zip(*columns.values(), strict=True)]
    return "".join(",".join(map(str, line)) + "\n" for line in lines)


def test_columns_target_and_missing_cells_of_a_table(tmp_path: Path) -> None:
    found = described(
        tmp_path,
        table(
            width=[n % 7 + 0.5 for n in range(40)],
            colour=["", *(["red", "blue", "green"] * 13)],
            day=[f"2026-01-{n % 28 + 1:02}" for n in range(40)],
            name=[f"n{n}" for n in range(38)] + ["", ""],
            same=[1] * 40,
            label=["a", "a", "a", "b"] * 10,
        ),
        columns={"name": "identifier"},
    )
    assert (found.rows, found.kind, found.shape) == (40, "tabular", (2,))
    assert found.columns == {
        "numeric": ("width",),
        "date": ("day",),
        "categorical": ("colour",),
        "left out": ("same",),
    }
    assert found.missing == {"colour": 1 / 40}
    assert found.missing_share == pytest.approx(1 / 120)
    assert (found.target, found.task, found.task_reason) == ("label", "classification", "2 distinct texts")
    assert found.classes == {"a": 0.75, "b": 0.25}
    assert found.numbers is None
    assert found.constant == ("same",)


def test_the_target_of_a_regression_has_range_mean_and_skew(tmp_path: Path) -> None:
    found = described(tmp_path, table(x=[n % 5 for n in range(50)], label=[n / 2 for n in range(50)]))
    assert (found.task, found.task_reason) == ("regression", "50 distinct numbers, more than 20")
    assert found.numbers is not None
    assert (found.numbers.low, found.numbers.high, found.numbers.mean) == (0.0, 24.5, 12.25)
    assert found.numbers.skewness == pytest.approx(0, abs=1e-9)
    assert found.classes == {}


@pytest.mark.parametrize(
    ("labels", "settings", "task", "reason"),
    [
        ([1, 2, 3, 4] * 10, {}, "classification", "4 distinct numbers, and up to 20 count as classes"),
        ([1, 2, 3, 4] * 10, {"task": "regression"}, "regression", "data.task says so"),
        ([f"{n % 25:03}" for n in range(40)], {}, "classification", "25 distinct codes"),
        ([n % 30 for n in range(40)], {"columns": {"label": "categorical"}}, "classification", "declared categorical"),
    ],
)
def test_the_reason_of_the_task_is_told(
    labels: list[object], settings: dict[str, object], task: str, reason: str, tmp_path: Path
) -> None:
    found = described(tmp_path, table(x=[n % 5 for n in range(40)], label=labels), **settings)
    assert (found.task, found.task_reason) == (task, reason)


def test_copies_of_columns_and_rows_are_found(tmp_path: Path) -> None:
    x, colour = [n % 7 for n in range(30)], [("red", "blue")[n % 2] for n in range(30)]
    found = described(
        tmp_path,
        table(x=x, again=x, y=[n * 0.5 for n in range(30)], colour=colour, color=colour, label=["a", "b"] * 15),
    )
    assert found.alike == (("x", "again"), ("colour", "color"))
    assert found.duplicates == 0
    found = described(tmp_path, table(x=["1", "", "1", "", "2"], c=["u", "v", "u", "v", ""], label=list("abaaa")))
    assert found.duplicates == 1, "the missing cells are alike, the labels are not"


def test_strongly_skewed_columns_are_named(tmp_path: Path) -> None:
    income = [float(np.exp(n / 10)) for n in range(100)]
    rare = [int(n == 3) for n in range(100)]
    found = described(
        tmp_path, table(income=income, rare=rare, even=[n % 9 for n in range(100)], label=["a", "b"] * 50)
    )
    assert list(found.skewed) == ["income"], "a flag has two values, and no transform makes them more even"
    assert found.skewed["income"] > SKEWED


def test_skewness_is_that_of_scipy() -> None:
    from scipy import stats

    values = np.random.default_rng(0).exponential(size=500) * 1e29
    assert skewness(values) == pytest.approx(stats.skew(values / 1e29))
    assert skewness(np.full(9, 0.1)) == 0.0


def test_images_are_described_by_their_pixels() -> None:
    found = describe(load_dataset(DataTable(dataset="digits"), Path()))
    assert (found.kind, found.shape, found.columns) == ("image", (1, 8, 8), {})
    assert len(found.constant) == 3
    assert found.missing_share == 0.0
    assert sum(found.classes.values()) == pytest.approx(1)


def test_rows_shown_of_texts_and_of_sequences_of_unequal_length(tmp_path: Path) -> None:
    texts = [f"a text of five words {n}" for n in range(60)]
    shown = dict(found_rows(described(tmp_path, table(words=texts, label=["a", "b"] * 30))))
    assert shown["text"] == "1: words"
    np.savez(tmp_path / "s.npz", X=np.arange(18.0).reshape(9, 2), lengths=[2, 4, 3], y=["a", "b", "a"])
    shown = dict(found_rows(describe(load_dataset(DataTable(dataset="s.npz"), tmp_path))))
    assert shown["sequence"] == "4 x 2, 2 to 4 steps"


def test_like_notes_become_one_line() -> None:
    notes = [Note(kind="read_as", text="Read as dates", column=f"d{n}") for n in range(17)]
    notes.insert(3, Note(kind="missing", text="Odd cells", column="x", detail="'-' in row 3"))
    notes.append(Note(kind="suspicious", text="Some classes are alike"))
    assert grouped(notes) == [
        "Read as dates: d0, d1, d2, d3, d4 and 12 more.",
        "Odd cells: x ('-' in row 3).",
        "Some classes are alike.",
    ]
