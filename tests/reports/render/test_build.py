"""Files of a report appear whole or not at all."""

import os

import pytest

from hpo.errors import MachineError
from hpo.reports.render.build import write_report_files, write_text
from tests.reports.factory import study


def test_the_folder_holds_exactly_its_files(tmp_path):
    page = write_report_files(study(15), tmp_path / "reports" / "digits")
    assert page == tmp_path / "reports" / "digits" / "index.html"
    assert sorted(os.listdir(page.parent)) == [
        "epochs.csv",
        "importances.csv",
        "index.html",
        "summary.json",
        "summary.md",
        "trials.csv",
    ]
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert b"\r" not in (page.parent / "trials.csv").read_bytes()


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "trials.csv"
    write_text(path, "old")

    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(MachineError, match=r"trials\.csv: No space left on device.*--home"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["trials.csv"]


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(MachineError, match="Cannot write"):
        write_text(tmp_path / "reports" / "index.html", "x")
