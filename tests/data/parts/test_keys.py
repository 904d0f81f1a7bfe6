"""Groups and times from columns and arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.parts.splits import Splits, split_data
from hpo.errors import DataError
from hpo.studyfile.records import DataTable
from tests.data.readers.loading import load, refused


def split(base: Path, dataset: str, **settings: Any) -> Splits:
    found = load(base, dataset, **settings)
    return split_data(found, DataTable.model_validate({"dataset": dataset, **settings}), seed=0)


def write(base: Path, name: str = "t.csv", *, rows: int = 60, first: int = 0) -> None:
    lines = [f"{n},00{n // 4},2026-01-{1 + n // 3 % 28:02},{'ab'[n % 2]}" for n in range(first, first + rows)]
    (base / name).write_text("\n".join(["x,patient,day,label", *lines, ""]))


def test_a_column_of_groups_is_no_feature(tmp_path: Path) -> None:
    write(tmp_path)
    found = load(tmp_path, "t.csv", target="label", group="patient")
    assert found.numeric_names == ("x", "day")
    assert found.group_N is not None
    assert found.group_N[:5].tolist() == ["000", "000", "000", "000", "001"]
    assert found.fingerprint != load(tmp_path, "t.csv", target="label", columns={"patient": "ignored"}).fingerprint
    splits = split(tmp_path, "t.csv", target="label", group="patient")
    replica = splits.replicas[0]
    sides = [set(found.group_N[idx]) for idx in (splits.test_idx, replica.train_idx, replica.valid_idx)]
    assert sum(map(len, sides)) == 15


@pytest.mark.parametrize("kind", [None, "ignored", "identifier"])
def test_a_column_of_times_is_a_feature_unless_it_is_left_out(kind: str | None, tmp_path: Path) -> None:
    write(tmp_path)
    columns = {"patient": "ignored"} | ({} if kind is None else {"day": kind})
    found = load(tmp_path, "t.csv", target="label", time="day", columns=columns)
    assert found.numeric_names == (("x", "day") if kind is None else ("x",))
    splits = split(tmp_path, "t.csv", target="label", time="day", columns=columns)
    assert splits.test_idx.tolist() == list(range(48, 60))
    assert splits.replicas[0].valid_idx.tolist() == list(range(36, 48))


def test_a_test_file_has_groups_and_times_too(tmp_path: Path) -> None:
    write(tmp_path)
    write(tmp_path, "early.csv", rows=16, first=50)
    (tmp_path / "test.csv").write_text((tmp_path / "early.csv").read_text().replace("2026-01", "2026-02"))
    settings: dict[str, Any] = {"target": "label", "test": "test.csv", "columns": {"patient": "ignored"}}
    assert split(tmp_path, "t.csv", time="day", **settings).test_idx.tolist() == list(range(60, 76))
    with pytest.raises(DataError, match=r"data\.time: row \d+ of t\.csv is in the part test and not later than row"):
        split(tmp_path, "t.csv", time="day", **settings | {"test": "early.csv"})
    write(tmp_path, "test.csv", rows=16, first=58)
    with pytest.raises(DataError, match=r'data\.group: "0014" of "patient" in t\.csv is in the parts \w+ and test'):
        split(tmp_path, "t.csv", target="label", group="patient", test="test.csv")


def test_columns_that_cannot_be_used(tmp_path: Path) -> None:
    lines = [f"{n},{n % 9 or ''},spring,{'ab'[n % 2]}" for n in range(20)]
    (tmp_path / "t.csv").write_text("\n".join(["x,g,t,label", *lines, ""]))
    assert 'has no column "G". Columns: x, g, t, label.' in refused(tmp_path, "t.csv", target="label", group="G")
    assert '"g", data.group, is missing in rows 1, 10, 19' in refused(tmp_path, "t.csv", target="label", group="g")
    assert "data.time, holds 'spring' in row 1" in refused(tmp_path, "t.csv", target="label", time="t")
    with pytest.raises(DataError, match=r'data\.group: wine comes without "patient"'):
        split(tmp_path, "wine", group="patient")


def test_arrays_beside_x(tmp_path: Path) -> None:
    y, groups, time = np.arange(40) % 2, np.arange(40) // 4, np.arange(40)[::-1]
    for x in (np.arange(40.0)[:, None], np.arange(160.0).reshape(40, 2, 2)):
        np.savez(tmp_path / "a.npz", X=x, y=y, groups=groups, time=time)
        splits = split(tmp_path, "a.npz", group="groups")
        assert not set(groups[splits.test_idx]) & set(groups[splits.replicas[0].train_idx])
        assert split(tmp_path, "a.npz", time="time").test_idx.tolist() == list(range(8))
        found = load(tmp_path, "a.npz")
        assert found.group_N is found.time_N is None
        assert [note.text.split(";")[0] for note in found.notes if "array" in note.text] == [
            "The array groups is not used",
            "The array time is not used",
        ]
    np.savez(tmp_path / "b.npz", X=x, y=y, groups=groups[:9], time=np.datetime64("2026-01-01") + time)
    assert "groups has the shape (9,), and X has 40 examples" in refused(tmp_path, "b.npz", time="time")
    np.savez(tmp_path / "b.npz", X=x, y=y, time=np.datetime64("2026-01-01") + time)
    assert split(tmp_path, "b.npz", time="time").test_idx.tolist() == list(range(8))
    assert 'has no "groups". Save it beside X' in refused(tmp_path, "b.npz", group="groups")
