"""Ownership of checkpoints: no study deletes another study's files, and all of a study's own files are deleted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from hpo.checkpoints.folders import OwnFolders, own_folders
from hpo.checkpoints.manager import CheckpointManager
from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.errors import MachineError, StudyStateError
from hpo.registry import deletion
from hpo.registry.studies import study_row
from hpo.runtime.deletion import delete_study
from hpo.runtime.local_run import run_study
from hpo.runtime.session import Session
from hpo.runtime.setup.submission import submit_study
from hpo.runtime.sweeping import sweep
from hpo.storage.open import open_store, sqlite_url
from hpo.storage.store import Store
from tests.runtime.small import in_session, small_study, with_trials
from tests.service.working import serve, submit

SPEC = small_study(training="epochs = 1", search="trials = 1", checkpoints="keep = 1")


class Killed(BaseException):
    """Simulates SIGKILL: no handler of the program catches it."""


def killed(*arguments: Any, **options: Any) -> None:
    raise Killed


@contextmanager
def opened(url: str) -> Iterator[Store]:
    with closing(open_store(url)) as store:
        yield store


def run(home: Path, url: str | None = None, trials: int = 1, **options: Any) -> None:
    run_study(with_trials(SPEC, trials), url or sqlite_url(home), home, lambda progress: None, device="cpu", **options)


def files(home: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in (home / "checkpoints").rglob("*.pt")}


def named(store: Store) -> set[str]:
    return {row.path for row in store.checkpoints(study_row(store, "small").study_id)}


@pytest.fixture
def second(tmp_path: Path) -> str:
    """Another database that shares the home folder."""
    (tmp_path / "elsewhere").mkdir()
    return sqlite_url(tmp_path / "elsewhere")


def test_two_databases_with_a_study_of_one_name_in_one_home(tmp_path: Path, second: str) -> None:
    run(tmp_path)
    before = files(tmp_path)
    run(tmp_path, second)
    run(tmp_path, second, trials=2)
    assert len(before) == 2
    assert before.items() <= files(tmp_path).items()
    with opened(second) as store:
        assert all(path.startswith("checkpoints/small-") for path in named(store))
        done = delete_study(store, "small", tmp_path)
    assert (done.files, done.missing, done.strange) == (2, 0, ())
    assert files(tmp_path) == before
    assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"small", ".small.owner"}
    with opened(sqlite_url(tmp_path)) as store:
        assert delete_study(store, "small", tmp_path).files == 2
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_a_copy_of_a_database_is_another_one(tmp_path: Path, second: str) -> None:
    run(tmp_path)
    before = files(tmp_path)
    shutil.copy(tmp_path / "hpo.db", tmp_path / "elsewhere" / "hpo.db")
    run(tmp_path, trials=2)
    kept = files(tmp_path)
    assert kept != before
    with opened(second) as store:
        sweep(store, tmp_path)
        delete_study(store, "small", tmp_path)
    assert files(tmp_path) == kept


def test_files_of_an_earlier_version_without_an_owner_stay(tmp_path: Path) -> None:
    run(tmp_path)
    kept = files(tmp_path)
    (tmp_path / "checkpoints" / ".small.owner").unlink()
    stray = tmp_path / "checkpoints" / "small" / "best-000099.pt"
    stray.write_bytes(b"of whom?")
    in_session(SPEC, tmp_path, lambda session: CheckpointManager(session.checkpoints))
    with opened(sqlite_url(tmp_path)) as store:
        sweep(store, tmp_path)
        assert set(files(tmp_path)) == {*kept, stray}, "the study keeps its folder"
        done = delete_study(store, "small", tmp_path)
    assert (done.files, done.strange) == (2, (str(stray),))
    assert list(files(tmp_path)) == [stray]


@pytest.mark.parametrize("moment", ["doomed", "some files", "all files"])
def test_a_deletion_that_is_killed_is_ended_by_the_next_start(
    moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path)
    delete = OwnFolders.delete

    def once(own: OwnFolders, path: str) -> None:
        delete(own, path)
        raise Killed

    place: Any
    place, name, instead = {
        "doomed": ("hpo.runtime.deletion", "own_folders", killed),
        "some files": ("hpo.checkpoints.folders.OwnFolders", "delete", once),
        "all files": ("hpo.registry.deletion", "delete_study", killed),
    }[moment]
    with opened(sqlite_url(tmp_path)) as store, monkeypatch.context() as patch:
        patch.setattr(f"{place}.{name}", instead)
        with pytest.raises(Killed):
            delete_study(store, "small", tmp_path)
    other = small_study(study='name = "other"', training="epochs = 1", search="trials = 1")
    run_study(other, sqlite_url(tmp_path), tmp_path, lambda progress: None, device="cpu")
    assert not (tmp_path / "checkpoints" / "small").exists()
    with opened(sqlite_url(tmp_path)) as store, pytest.raises(StudyStateError, match="It has: other"):
        study_row(store, "small")
    run(tmp_path)
    assert len(files(tmp_path)) == 4


def test_a_study_that_is_being_deleted_cannot_be_run(tmp_path: Path) -> None:
    submit(SPEC, tmp_path)
    with opened(sqlite_url(tmp_path)) as store:
        deletion.begin_deletion(store, "small")
        refused = pytest.raises(StudyStateError, match="just being deleted")
        with refused:
            in_session(SPEC, tmp_path, lambda session: CheckpointManager(session.checkpoints))
        submit(SPEC, tmp_path)
        assert not study_row(store, "small").facts.is_being_deleted, "the study is a new one"


def test_files_of_an_ended_study_that_a_killed_worker_left_are_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(small_study(training="epochs = 3", search="trials = 1"), tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointManager, "sweep", lambda manager: None)
        serve(tmp_path)
    folder = tmp_path / "checkpoints" / "small"
    (folder / ".best-000001.pt.0123456789abcdef.tmp").touch()
    (folder / "notes.txt").touch()
    with opened(sqlite_url(tmp_path)) as store:
        assert {path.name for path in files(tmp_path)} > {Path(path).name for path in named(store)}
        sweep(store, tmp_path)
        assert {path.name for path in folder.iterdir()} == {Path(path).name for path in named(store)} | {"notes.txt"}


def test_files_of_an_unfinished_study_are_not_swept(tmp_path: Path) -> None:
    submit(SPEC, tmp_path)
    (tmp_path / "checkpoints" / "small").mkdir(parents=True)
    slot = tmp_path / "checkpoints" / "small" / "running-worker-1-0.pt"
    slot.touch()
    with opened(sqlite_url(tmp_path)) as store:
        sweep(store, tmp_path)
    assert slot.exists()


NAMES = ("../small.pt", "/etc/passwd", "checkpoints/../../x.pt", "checkpoints/out/x.pt", "out/x.pt", "a\0b", "")


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leads_out_of_the_folder(name: str, tmp_path: Path) -> None:
    outside, home = tmp_path / "outside", tmp_path / "home"
    outside.mkdir()
    (home / "checkpoints").mkdir(parents=True)
    for folder in (outside, tmp_path):
        (folder / "x.pt").write_bytes(b"precious")
        (folder / "small.pt").write_bytes(b"precious")
    for link in (home / "out", home / "checkpoints" / "out"):
        link.symlink_to(outside)
    checkpoint_store: CheckpointStore = Directory(home)
    assert checkpoint_store.get(name) is None
    for action in (
        checkpoint_store.delete,
        lambda name: checkpoint_store.put(name, b"new"),
        lambda name: checkpoint_store.put_new(name, b"new"),
    ):
        with pytest.raises(MachineError, match="leads out of"):
            action(name)
    assert all(path.read_bytes() == b"precious" for path in tmp_path.rglob("*.pt"))


def test_a_link_in_place_of_a_checkpoint_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "small").mkdir(parents=True)
    (tmp_path / "secret.pt").write_bytes(b"secret")
    (tmp_path / "checkpoints" / "small" / "best.pt").symlink_to(tmp_path / "secret.pt")
    assert Directory(tmp_path).get("checkpoints/small/best.pt") is None


def test_the_folder_of_all_checkpoints_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "checkpoints").symlink_to(tmp_path / "disk")
    run(tmp_path / "home")
    assert len(list((tmp_path / "disk" / "small").glob("*.pt"))) == 2


def test_rows_that_name_other_files_delete_none(tmp_path: Path) -> None:
    run(tmp_path)

    def forget(session: Session) -> None:
        its = CheckpointManager(session.checkpoints)
        its.garbage = {"hpo.db", "../outside", "checkpoints/other/best-000000.pt"}
        its.sweep()

    other = tmp_path / "checkpoints" / "other" / "best-000000.pt"
    other.parent.mkdir()
    other.touch()
    in_session(SPEC, tmp_path, forget)
    assert (tmp_path / "hpo.db").exists()
    assert other.exists()


def test_other_users_cannot_read_the_home_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    home = tmp_path / "runs"
    run(home)
    paths = [home, *(path for path in home.rglob("*") if "cache" not in path.parts)]
    assert {path.name for path in paths} > {"hpo.db", "small", ".lock", ".small.owner", "index.html"}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o700}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}


def test_the_first_study_to_claim_a_folder_owns_it(tmp_path: Path, second: str) -> None:
    for url in (sqlite_url(tmp_path), second):
        submit_study(SPEC, url, tmp_path, priority=0)
    with opened(sqlite_url(tmp_path)) as one, opened(second) as two:
        owns = [
            own_folders(Directory(tmp_path), store, study_row(store, "small"), claim=True).name
            for store in (two, one, two)
        ]
    assert owns[0] == owns[2] == "checkpoints/small"
    assert owns[1].startswith("checkpoints/small-")
    assert os.listdir(tmp_path / "checkpoints") == [".small.owner"]
