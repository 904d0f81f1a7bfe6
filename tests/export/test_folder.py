"""The files of an export: complete or absent, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.errors import InputError, MachineError
from hpo.export.files import check_free, json_bytes, write_export
from hpo.export.folder import weight_names

FILES = {"weights.safetensors": b"w", "config.json": b"{}"}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_one_file_of_weights_for_each_replica() -> None:
    assert weight_names(1) == ["weights.safetensors"]
    assert weight_names(3) == ["weights-0.safetensors", "weights-1.safetensors", "weights-2.safetensors"]


def test_files_go_into_a_new_folder_and_nothing_else_is_left(tmp_path: Path) -> None:
    write_export(tmp_path / "a" / "b", FILES)
    assert names(tmp_path / "a" / "b") == set(FILES)


def test_an_earlier_export_is_replaced_and_other_files_stay(tmp_path: Path) -> None:
    write_export(tmp_path, {"weights-0.safetensors": b"", "weights-1.safetensors": b"", "config.json": b"old"})
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"is not empty.*--force"):
        check_free(tmp_path, force=False)
    check_free(tmp_path, force=True)
    write_export(tmp_path, FILES)
    assert names(tmp_path) == {*FILES, "notes.txt"}
    assert (tmp_path / "config.json").read_bytes() == b"{}"


def test_new_and_empty_folders_are_free(tmp_path: Path) -> None:
    check_free(tmp_path, force=False)
    check_free(tmp_path / "new", force=False)
    assert not (tmp_path / "new").exists()


def test_a_file_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        check_free(tmp_path / "file", force=True)
    with pytest.raises(MachineError, match=r"cannot write .*deeper.*give another one with -o"):
        write_export(tmp_path / "file" / "deeper", FILES)


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match="File name too long"):
        write_export(tmp_path / "new", {**FILES, "x" * 300: b""})
    assert not (tmp_path / "new").exists()
    write_export(tmp_path / "old", {"config.json": b"old"})
    with pytest.raises(MachineError):
        write_export(tmp_path / "old", {**FILES, "x" * 300: b""})
    assert names(tmp_path / "old") == {"config.json"}
    assert (tmp_path / "old" / "config.json").read_bytes() == b"old"


def test_json_keeps_names_readable() -> None:
    assert json_bytes({"classes": ("Grüße",)}).decode() == '{\n  "classes": [\n    "Grüße"\n  ]\n}\n'
