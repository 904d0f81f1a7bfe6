"""A study file that is given again, after its study was given more epochs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from hpo.errors import StudyFileError
from hpo.spec.study import StudySpec
from hpo.storage.engine import sqlite_url
from hpo.workers.local import run_study
from tests.workers.service import row_of, submit
from tests.workers.small import small_study
from tests.workers.test_lengths import extend


def study(epochs: int, seed: int = 3) -> StudySpec:
    return small_study(study=f'name = "small"\nseed = {seed}', training=f"epochs = {epochs}")


def run(spec: StudySpec, home: Path) -> None:
    run_study(spec, sqlite_url(home), home, lambda progress: None)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a study of 4 epochs has been given 6."""
    submit(study(4), tmp_path)
    extend(study(4), tmp_path, 6)
    return tmp_path


@pytest.mark.parametrize("epochs", [4, 6])
def test_a_file_may_say_what_it_said_or_what_holds(epochs: int, home: Path) -> None:
    submit(study(epochs), home)
    assert row_of(home).trial_epochs == 6


@pytest.mark.parametrize("give", [submit, run])
@pytest.mark.parametrize(("epochs", "way_out"), [(100, True), (5, False)])
def test_a_file_with_other_epochs_is_refused(
    give: Callable[[StudySpec, Path], None], epochs: int, way_out: bool, home: Path
) -> None:
    with pytest.raises(StudyFileError) as refused:
        give(study(epochs), home)
    assert f"\n  training.epochs: was 6, is {epochs}\n" in str(refused.value)
    assert ("`hpo extend --epochs`" in str(refused.value)) == way_out


@pytest.mark.parametrize("epochs", [4, 6])
def test_a_refusal_names_only_what_was_changed(epochs: int, home: Path) -> None:
    with pytest.raises(StudyFileError) as refused:
        submit(study(epochs, seed=4), home)
    _, *lines = str(refused.value).splitlines()
    assert lines[0] == "  study.seed: was 3, is 4"
    assert "training.epochs" not in str(refused.value)


def test_the_way_out_names_the_database(home: Path) -> None:
    with pytest.raises(StudyFileError, match=r"or delete its trials from .*hpo\.db with `hpo delete`\.$"):
        submit(study(4, seed=4), home)
