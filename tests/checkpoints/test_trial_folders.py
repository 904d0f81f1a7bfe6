"""The folders of a training function's trials: each study has its own, and its deletion deletes them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

import hpo
from hpo.errors import StudyStateError
from hpo.registry.studies import study_row
from hpo.runtime.deletion import Deletion, delete_study
from hpo.runtime.sweeping import sweep
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.functions import study


def run(path: Path, home: Path, url: str | None = None) -> None:
    hpo.run(path, home=home, storage=url, workers=1)


def delete(home: Path, url: str | None = None) -> Deletion:
    with closing(open_store(url or sqlite_url(home))) as store:
        return delete_study(store, "own", home)


def begun(home: Path, folder: str = "own") -> int:
    """Processes that the study's one trial has had, by a file in its folder."""
    return len((home / "trials" / folder / "000000" / "begun").read_text().splitlines())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return study(tmp_path, search="trials = 1", training="epochs = 1")


def test_the_next_study_of_a_name_has_new_folders(tmp_path: Path, path: Path) -> None:
    home = tmp_path / "home"
    run(path, home)
    assert delete(home).trial_folders
    assert list((home / "trials").iterdir()) == []
    run(path, home)
    assert begun(home) == 1


def test_also_where_it_was_deleted_from_elsewhere(tmp_path: Path, path: Path) -> None:
    home = tmp_path / "home"
    run(path, home)
    with closing(open_store(sqlite_url(home))) as store:
        delete_study(store, "own", tmp_path / "another")
    run(path, home)
    (numbered,) = (folder.name for folder in (home / "trials").glob("own-*"))
    assert begun(home, numbered) == begun(home, "own") == 1
    assert delete(home).trial_folders
    assert {folder.name for folder in (home / "trials").iterdir()} == {"own", ".own.owner"}


def test_a_study_in_another_database_has_its_own(tmp_path: Path, path: Path) -> None:
    home, second = tmp_path / "home", sqlite_url(tmp_path)
    run(path, home)
    run(path, home, second)
    assert begun(home) == 1
    assert delete(home, second).trial_folders
    assert begun(home) == 1
    assert not list((home / "trials").glob("own-*"))


def test_a_deletion_that_is_killed_is_ended_by_the_next_start(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    run(path, home)
    with monkeypatch.context() as patch:
        patch.setattr("hpo.runtime.deletion.delete_trial_folders", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            delete(home)
    with closing(open_store(sqlite_url(home))) as store:
        sweep(store, home)
        with pytest.raises(StudyStateError):
            study_row(store, "own")
    assert not (home / "trials" / "own").exists()
