"""What `hpo extend` and `hpo resume` say of a study that is stopped."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo.cli import hpo
from hpo.storage import steering, studies
from hpo.storage.engine import open_store, sqlite_url
from tests.workers.service import row_of, submit
from tests.workers.small import small_study


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Where a study is stopped."""
    submit(small_study(), tmp_path)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        steering.stop(store, "small")
    return tmp_path


def said(home: Path, *arguments: str) -> list[str]:
    done = CliRunner().invoke(hpo, [*arguments, "--home", str(home)])
    assert done.exit_code == 0, done.output
    return done.output.splitlines()


def test_extending_what_is_stopped_says_that_it_is(home: Path) -> None:
    *lines, last = said(home, "extend", "small", "--trials", "20", "--epochs", "9")
    assert lines == [
        "Study small has a budget of 20 trials.",
        "Trials of small train 9 epochs; 0 that had ended go on.",
    ]
    assert last == f"It is stopped. To let it go on: hpo resume small --home {home}"
    assert said(home, "resume", "small") == ["Study small goes on."]
    assert len(said(home, "extend", "small", "--epochs", "12")) == 1


def test_what_has_ended_does_not_go_on(home: Path) -> None:
    """A worker that had nothing left but to conclude it did so."""
    with closing(open_store(sqlite_url(home))) as store:
        studies.mark_finished(store, row_of(home).study_id)
    assert said(home, "resume", "small") == ["Study small is not stopped any more, and has ended."]
    assert row_of(home).stopped_at is None
