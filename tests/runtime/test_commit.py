"""The Git commit of a study's project."""

import subprocess

import pytest

from hpo.runtime.setup.commit import commit_of


def git(folder, *arguments):
    me = ["-c", "user.name=me", "-c", "user.email=me@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *me, *arguments], check=True, capture_output=True)


def test_the_commit_and_whether_files_changed_since(tmp_path):
    git(tmp_path, "init")
    assert commit_of(tmp_path) is None  # nothing is committed yet
    study = tmp_path / "studies" / "mine.toml"
    study.parent.mkdir()
    study.write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "A study")
    head = commit_of(study.parent)
    assert head is not None
    assert len(head) == 40
    (tmp_path / "runs").mkdir()  # what is new is no change of what the repository has
    assert commit_of(tmp_path) == head
    study.write_text("[study]")
    assert commit_of(tmp_path) == f"{head}, with changes that are not committed"


def test_a_folder_in_no_repository_has_none(tmp_path):
    assert commit_of(tmp_path / "absent") is None


def test_a_machine_without_git_notes_none(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_of(tmp_path) is None


@pytest.mark.parametrize("damaged", ["", "gitdir: nowhere"])
def test_a_damaged_repository_notes_none(tmp_path, damaged):
    (tmp_path / ".git").write_text(damaged)
    assert commit_of(tmp_path) is None
