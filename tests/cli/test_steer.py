"""What `hpo extend` and `hpo resume` say of a study that is stopped."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo.cli import hpo
from hpo.errors import InputError
from hpo.registry import control, studies
from hpo.storage.open import open_store, sqlite_url
from hpo.studyfile.file import read_study_file
from tests.runtime.functions import study
from tests.runtime.small import small_study
from tests.service.working import row_of, submit


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a study is stopped."""
    submit(small_study(), tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        control.stop(store, "small")
    return tmp_path


def said(home: Path, *arguments: str) -> list[str]:
    done = CliRunner().invoke(hpo, [*arguments, "--home", str(home)])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_extending_what_is_stopped_says_that_it_is(home: Path) -> None:
    *lines, last = said(home, "extend", "small", "--trials", "20", "--epochs", "9")
    assert lines == [
        "Study small has a budget of 20 trials.",
        "Trials of small train 9 epochs; 0 that had ended continue.",
    ]
    assert last == f"It is stopped. To continue it: hpo resume small --home {home}"
    assert said(home, "resume", "small") == ["Study small continues."]
    assert len(said(home, "extend", "small", "--epochs", "12")) == 1


def test_what_has_ended_does_not_go_on(home: Path) -> None:
    """A worker that had nothing left but to conclude it did so."""
    with closing(open_store(sqlite_url(home))) as store:
        studies.mark_finished(store, row_of(home).study_id)
    assert said(home, "resume", "small") == ["Study small is no longer stopped, and has ended."]
    assert row_of(home).stopped_at is None


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--trials", "20", "--epochs", "2"), "--epochs 2: trials of 'small' train 4 already"),
        (("--trials", "3", "--epochs", "9"), "--trials 3: the study 'small' has 8 already"),
    ],
)
def test_of_two_extensions_both_are_made_or_none(arguments: tuple[str, ...], reason: str, home: Path) -> None:
    before = row_of(home)
    done = CliRunner().invoke(hpo, ["extend", "small", *arguments, "--home", str(home)])
    assert isinstance(done.exception, InputError)
    assert reason in str(done.exception)
    assert done.output == "", "nothing is said to be done"
    assert row_of(home) == before


def test_two_extensions_are_one_change(home: Path) -> None:
    before = row_of(home)
    said(home, "extend", "small", "--trials", "20", "--epochs", "9")
    after = row_of(home)
    assert (after.max_trials, after.trial_epochs, after.generation) == (20, 9, before.generation + 1)


def test_more_epochs_for_a_function_are_said_to_be_its_own_affair(tmp_path: Path) -> None:
    submit(read_study_file(study(tmp_path)), tmp_path)
    (line,) = said(tmp_path, "extend", "own", "--epochs", "9")
    assert line.startswith("Trials of own train 9 epochs; 0 that had ended continue. train.py:train is called")
    assert "it must train until trial.epochs" in line
