"""`hpo report --follow`: written until the study ends, with a page that loads itself again until then."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo.cli import hpo
from hpo.cli.results import report
from hpo.runtime.local_run import run_study
from hpo.storage.open import sqlite_url
from tests.runtime.small import small_study

REFRESH = f'<meta http-equiv="refresh" content="{report.REFRESH_SECONDS}">'


def test_a_followed_report_is_written_until_the_study_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    result = run_study(small_study(), sqlite_url(tmp_path), tmp_path, lambda _: None)
    assert REFRESH not in result.report.read_text()
    seen: list[bool] = []

    def ended(value: str) -> None:
        with closing(sqlite3.connect(tmp_path / "hpo.db")) as database, database:
            database.execute(f"UPDATE hpo_studies SET finished_at = {value}")

    def slept(seconds: float) -> None:
        assert seconds >= report.REFRESH_SECONDS
        seen.append(REFRESH in result.report.read_text())
        result.report.unlink()
        if len(seen) == 2:
            ended("CURRENT_TIMESTAMP")

    ended("NULL")
    monkeypatch.setattr(report.time, "sleep", slept)
    said = CliRunner().invoke(hpo, ["report", "small", "--follow", "--home", str(tmp_path)])
    assert said.exit_code == 0, said.output
    assert said.stdout.split() == [str(result.report)]
    assert seen == [True, True]
    assert REFRESH not in result.report.read_text()
