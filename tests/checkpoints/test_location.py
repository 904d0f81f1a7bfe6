"""Checkpoints that workers keep outside the home folder are found by every command that reads them; a checkpoint
that is found nowhere is reported."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hpo.checkpoints.location import recorded_location
from hpo.checkpoints.store import Directory
from hpo.cli import hpo
from hpo.errors import InputError, MachineError
from hpo.registry import control, studies
from hpo.runtime import resume
from hpo.runtime.local_run import run_study
from hpo.storage.open import open_store, sqlite_url
from tests.runtime.small import epochs_of, result_of, small_study, trials_of
from tests.service.working import row_of, serve, submit, wait_for, working


def place_of(home: Path) -> str | None:
    with closing(open_store(sqlite_url(home), readonly=True)) as store:
        return recorded_location(store, studies.study_row(store, "small").study_id)


def export(home: Path, *arguments: object) -> Result:
    out = home / "out"
    told = ["export", "small", "-o", str(out), "--force", "--home", str(home), *map(str, arguments)]
    done = CliRunner().invoke(hpo, told, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_an_export_finds_the_weights_where_workers_keep_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    submit(small_study(), home)
    serve(home, checkpoint_store=Directory(elsewhere))
    assert not list(home.rglob("*.pt"))
    assert place_of(home) == str(elsewhere)
    assert "trained again" not in export(home).stderr
    moved = elsewhere.rename(tmp_path / "moved")
    assert f"in {elsewhere} or {home}: it is trained again" in export(home).stderr
    assert "trained again" not in export(home, "--checkpoints", moved).stderr
    monkeypatch.setenv("HPO_CHECKPOINTS", str(moved))
    assert "trained again" not in export(home).stderr


def test_a_study_in_the_home_folder_records_no_place(tmp_path: Path) -> None:
    submit(small_study(), tmp_path)
    serve(tmp_path)
    assert place_of(tmp_path) is None
    assert "trained again" not in export(tmp_path).stderr


@pytest.mark.parametrize("moved", [False, True])
def test_a_run_continues_from_checkpoints_of_workers_in_another_place(
    moved: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = small_study(training="epochs = 12", search="trials = 6\nconcurrency = 3")
    expected = result_of(spec, tmp_path / "expected")
    home, elsewhere = tmp_path / "home", tmp_path / "elsewhere"
    submit(spec, home)
    with working(home, checkpoint_store=Directory(elsewhere)):
        wait_for(lambda: row_of(home).epochs_spent >= 10)
    with closing(open_store(sqlite_url(home))) as store:
        control.stop(store, "small")
    if moved:
        elsewhere = elsewhere.rename(tmp_path / "moved")
    given = str(elsewhere) if moved else None
    pasts: list[Any] = []
    monkeypatch.setattr(resume, "past_of", _recorded(resume.past_of, pasts))
    run_study(spec, sqlite_url(home), home, lambda progress: None, device="cpu", checkpoints=given)
    assert pasts
    assert all(past.saved for past in pasts), "they were trained again from the start"
    assert (trials_of(spec, home), epochs_of(spec, home)) == expected
    assert not list(elsewhere.rglob("running-*")), "what the workers left is nobody's any more"


def test_a_run_reads_and_records_the_given_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers record no place if each keeps checkpoints in its own home folder."""
    spec = small_study(training="epochs = 12", search="trials = 6\nconcurrency = 3")
    expected = result_of(spec, tmp_path / "expected")
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    submit(spec, theirs)
    with working(theirs):
        wait_for(lambda: row_of(theirs).epochs_spent >= 10)
    with closing(open_store(sqlite_url(theirs))) as store:
        control.stop(store, "small")
    assert place_of(theirs) is None
    pasts: list[Any] = []
    monkeypatch.setattr(resume, "past_of", _recorded(resume.past_of, pasts))
    run_study(spec, sqlite_url(theirs), ours, lambda progress: None, device="cpu", checkpoints=str(theirs))
    assert pasts
    assert all(past.saved for past in pasts), "they were trained again from the start"
    assert (trials_of(spec, theirs), epochs_of(spec, theirs)) == expected
    assert place_of(theirs) == str(theirs)


@pytest.mark.parametrize(
    "options", [{"checkpoints": "s3://bucket"}, {"engine": "ray", "address": "127.0.0.1:1", "device": "auto"}]
)
def test_a_run_that_cannot_continue_leaves_the_study_to_the_workers(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, url = small_study(), sqlite_url(tmp_path)
    submit(spec, tmp_path)
    with closing(open_store(url)) as store:
        control.stop(store, "small")
        monkeypatch.setitem(sys.modules, "boto3", None)  # as if it were not installed
        with pytest.raises((InputError, MachineError), match=r"boto3|no Ray cluster answers"):
            run_study(spec, url, tmp_path, lambda progress: None, **({"device": "cpu"} | options))
        assert studies.study_row(store, "small").submitted_at is not None
        control.resume(store, "small")


def _recorded(function: Any, results: list[Any]) -> Any:
    def call(*arguments: Any) -> Any:
        results.append(function(*arguments))
        return results[-1]

    return call
