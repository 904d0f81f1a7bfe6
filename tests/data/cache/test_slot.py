"""Data sets that are kept come back equal, and only while reading would give the same."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hpo.data.cache import slot
from hpo.data.cache.form import from_arrays, to_arrays
from hpo.data.cache.key import key_of
from hpo.data.cache.slot import Slot, slot_of
from hpo.data.catalogue import CATALOGUE, load_dataset
from hpo.data.dataset import CellForm, Dataset, no_categories
from hpo.data.study import load_data
from hpo.studyfile.file import parse_study
from hpo.studyfile.records import DataTable
from tests.mutations import formats
from tests.studyfile.texts import study_text

CSV = "size;colour;day;kind\n" + "".join(
    f"{n},5;{'red' if n % 3 else ''};2026-01-{n + 1:02};{'ab'[n % 2]}\n" for n in range(20)
)
STUDIES: dict[str, dict[str, Any]] = {
    "t.csv": {"target": "kind", "decimal": ","},
    "t.parquet": {"target": "kind"},
    "t.xlsx": {"target": "kind", "columns": {"size": "categorical"}},
    "t.jsonl": {"target": "kind", "test": "t.jsonl.gz"},
    "t.jsonl.gz": {"target": "kind"},
    "t.npy": {"target": "last"},
    "t.npz": {},
    "photos": {},
    "image.npy": {"target": "labels.npy", "shape": [1, 3, 2]},
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a file of every format."""
    with ExitStack() as stack:
        folder = formats.prepare(tmp_path_factory.mktemp("formats"), stack)
    (folder / "t.csv").write_text(CSV, encoding="utf-8")
    np.save(folder / "image.npy", np.arange(240.0).reshape(40, 6) % 7)
    np.save(folder / "t.npy", np.arange(240.0).reshape(40, 6) % 7)
    np.save(folder / "labels.npy", np.arange(40) % 3)
    return folder


@pytest.fixture
def base(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written, tmp_path / "base"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def table(name: str, **settings: Any) -> DataTable:
    return DataTable.model_validate({"dataset": name} | STUDIES.get(name, {}) | settings)


def at(home: Path, base: Path, name: str = "t.csv", **settings: Any) -> Slot:
    found = slot_of(table(name, **settings), base, home)
    assert found is not None
    return found


def kept(home: Path, base: Path, name: str = "t.csv") -> Dataset:
    dataset = load_dataset(table(name), base)
    at(home, base, name).keep(dataset)
    return dataset


def same(one: Any, other: Any) -> bool:
    """Whether values are equal in their types, numbers bit by bit, and order in memory."""
    if type(one) is not type(other):
        return False
    if is_dataclass(one):
        return all(same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    if isinstance(one, np.ndarray):
        if (one.dtype, one.shape) != (other.dtype, other.shape):
            return False
        texts = one.dtype.kind == "O"
        return one.tolist() == other.tolist() if texts else one.tobytes("A") == other.tobytes("A")
    return bool(one == other)


@pytest.mark.parametrize("name", STUDIES)
def test_every_reader_s_data_set_comes_back_equal(name: str, base: Path, home: Path) -> None:
    read = kept(home, base, name)
    found = at(home, base, name).load()
    assert found is not None
    assert same(found, read)
    assert found.fingerprint == read.fingerprint


def test_every_field_and_odd_numbers_come_back() -> None:
    numeric = np.asfortranarray([[np.nan, -0.0], [1e300, np.inf], [3.0, -1.0]])
    dataset = Dataset(
        name="odd \ud800",
        kind="tabular",
        task="regression",
        numeric=numeric,
        numeric_names=("a", "b"),
        categorical_NK=np.array([["é", None], ["", "\ud800"], [None, "é"]], object),
        categorical_names=("c", "d"),
        target_N=np.array([0.1, 1e-310, 2.0]),
        target_name="y",
        class_names=(),
        forms={"a": CellForm(kind="numeric", decimal=",")},
        lengths_N=np.array([1, 2, 3]),
        part_N=np.array([0, 1, 2]),
    )
    found = from_arrays(to_arrays(dataset, "key"), "key")
    assert same(found, dataset)
    assert found.numeric.flags.f_contiguous
    with pytest.raises(ValueError, match="another record"):
        from_arrays(to_arrays(dataset, "key"), "another key")


@pytest.mark.parametrize("cell", [1, 1.5, float("nan"), ["a"]])
def test_what_has_no_form_is_refused(cell: Any) -> None:
    dataset = load_dataset(DataTable(dataset="iris"), Path())
    cells = no_categories(150).reshape(150, 0)
    odd = np.concatenate([cells, np.full((150, 1), None, object)], axis=1)
    odd[3, 0] = cell
    with pytest.raises(TypeError):
        to_arrays(
            Dataset(**{field.name: getattr(dataset, field.name) for field in fields(dataset)}
                    | {"categorical_NK": odd, "categorical_names": ("c",)}),
            "key",
        )  # fmt: skip


@pytest.mark.parametrize("name", STUDIES)
def test_every_file_that_is_read_belongs_to_the_key(name: str, base: Path) -> None:
    opened: set[Path] = set()

    def note(event: str, args: tuple[Any, ...]) -> None:
        if event == "open" and noting and isinstance(args[0], (str, Path)) and Path(args[0]).is_relative_to(base):
            opened.add(Path(args[0]))

    sys.addaudithook(note)
    noting = True
    load_dataset(table(name), base)
    noting = False
    before = key_of(table(name), base)
    for path in opened or {base / name}:
        content = path.read_bytes()
        path.write_bytes(content + b" ")
        assert key_of(table(name), base) != before, path
        path.write_bytes(content)
    assert key_of(table(name), base) == before


def test_a_file_changed_in_place_is_read_anew(base: Path, home: Path) -> None:
    """Also with the same size and the same time."""
    kept(home, base)
    times = os.stat(base / "t.csv")
    (base / "t.csv").write_text(CSV.replace("19,5", "18,5"), encoding="utf-8")
    os.utime(base / "t.csv", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert at(home, base).load() is None


def test_a_file_that_changes_while_it_is_read_is_not_kept(base: Path, home: Path) -> None:
    before = at(home, base)
    dataset = load_dataset(table("t.csv"), base)
    (base / "t.csv").write_text(CSV.replace("19,5", "18,5"), encoding="utf-8")
    before.keep(dataset)
    assert not before.path.exists()


@pytest.mark.parametrize("change", ["added", "renamed", "emptied"])
def test_a_folder_of_images_that_changes_is_read_anew(change: str, base: Path, home: Path) -> None:
    kept(home, base, "photos")
    first = base / "photos" / "a" / "0.png"
    if change == "added":
        shutil.copy(first, first.with_name("1000.png"))
    elif change == "renamed":
        first.rename(first.with_name("1000.png"))
    else:
        first.with_name("notes.txt").touch()
    assert at(home, base, "photos").load() is None


def test_settings_that_matter_to_reading_make_another_key(base: Path) -> None:
    def key(**settings: Any) -> str | None:
        return key_of(table("t.csv", **settings), base)

    assert key(columns={"size": "categorical"}) != key() != key(decimal=".")
    assert key(test="t.csv") != key()
    assert key(test=0.1, validation=0.3, folds=4, repeats=2, scaling="none") == key()


def test_other_code_or_libraries_make_another_key(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = key_of(table("t.csv"), base)
    monkeypatch.setattr("hpo.data.cache.key._reader", lambda: ["another version"])
    assert key_of(table("t.csv"), base) != before


@pytest.mark.parametrize(
    "named", [*CATALOGUE, "own.py:data", "package.module:data", "absent.csv", "pipe", "t.parquet.d"]
)
def test_what_is_no_content_of_files_is_not_kept(named: str, base: Path) -> None:
    os.mkfifo(base / "pipe")
    assert key_of(DataTable(dataset=named), base) is None


def test_too_large_files_are_not_kept(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.data.cache.key.LARGEST", 10)
    assert key_of(table("t.csv"), base) is None


def test_a_damaged_file_is_ignored_and_written_again(base: Path, home: Path) -> None:
    read = kept(home, base)
    path = at(home, base).path
    whole, draw = path.read_bytes(), random.Random(0)
    unused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
        path.write_bytes(bytes(damaged[: draw.choice([len(damaged), draw.randrange(len(damaged))])]))
        found = at(home, base).load()
        unused += found is None
        assert found is None or same(found, read)
    assert unused > 200
    for foreign in (b"", b"PK\3\4", b"\x80\4N.", b"no archive"):
        path.write_bytes(foreign)
        assert at(home, base).load() is None
    path.unlink()
    path.mkdir()
    assert at(home, base).load() is None
    path.rmdir()
    kept(home, base)
    assert same(at(home, base).load(), read)


def test_pickles_are_not_loaded(base: Path, home: Path) -> None:
    kept(home, base)
    np.savez(at(home, base).path, record=np.array([{"a": 1}], object))
    assert at(home, base).load() is None


def _keep_often(home: Path, base: Path) -> None:
    dataset = load_dataset(table("t.csv"), base)
    for _ in range(50):
        at(home, base).keep(dataset)


def test_processes_at_once_do_not_disturb_each_other(base: Path, home: Path) -> None:
    read = kept(home, base)
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=_keep_often, args=(home, base)) for _ in range(2)]
    for other in others:
        other.start()
    while any(other.is_alive() for other in others):
        assert same(at(home, base).load(), read)
    assert [other.exitcode for other in others] == [0, 0]
    assert [path.name for path in at(home, base).path.parent.iterdir()] == [at(home, base).path.name]


def test_those_unused_for_longest_are_deleted(base: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {name: at(home, base, name).path for name in ("t.npy", "t.parquet", "t.npz", "t.csv")}
    for age, name in enumerate(("t.npy", "t.parquet", "t.npz")):
        kept(home, base, name)
        os.utime(paths[name], (1000 + age, 1000 + age))
    assert at(home, base, "t.npy").load() is not None  # now it is the one used last
    monkeypatch.setattr(slot, "LIMIT", sum(path.stat().st_size for path in paths.values() if path.exists()))
    kept(home, base, "t.csv")
    assert {name for name, path in paths.items() if path.exists()} - {"t.npz"} == {"t.npy", "t.csv"}


def test_without_a_home_folder_or_where_it_cannot_be_written_nothing_is_kept(base: Path, tmp_path: Path) -> None:
    kept(tmp_path / "absent", base)
    assert not (tmp_path / "absent").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "cache").touch()  # stands in the way, also of a superuser
    kept(tmp_path / "full", base)
    assert at(tmp_path / "full", base).load() is None
    assert slot_of(table("t.csv"), base, None) is None


def test_a_study_s_data_are_read_once(base: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = study_text(data='dataset = "t.csv"\ntarget = "kind"\ndecimal = ","')
    spec = parse_study(text, str(base / "study.toml"))
    first = load_data(spec, home)
    first.keep()
    monkeypatch.setattr("hpo.data.study.load_dataset", lambda *_: pytest.fail("read again"))
    second = load_data(spec, home)
    assert same(second.dataset, first.dataset)
    assert second.unkept is None
    for one, other in zip(first.prepared.replicas, second.prepared.replicas, strict=True):
        np.testing.assert_array_equal(one.x_train, other.x_train)
