"""`hpo db upgrade`: the real command on files that earlier versions made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from hpo.cli import hpo
from hpo.database.tables import HEAD
from hpo.errors import StorageError
from tests.database.test_upgrade import ASSETS


def upgraded(home: Path) -> str:
    done = CliRunner().invoke(hpo, ["db", "upgrade", "--home", str(home)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.output


def test_it_tells_what_it_did_and_where_the_copy_is(tmp_path: Path) -> None:
    shutil.copy(ASSETS / "optuna-3.1.1.db", tmp_path / "hpo.db")
    output = upgraded(tmp_path)
    assert "Optuna's tables: v3.0.0.d -> v3.2.0.a" in output
    assert f"hpo's tables:    none -> {HEAD}" in output
    assert f"Copy of the database before the upgrade: {tmp_path}/hpo.db.v3.0.0.d" in output
    assert "nothing was changed" in upgraded(tmp_path)


def test_there_must_be_a_database(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="no database at"):
        upgraded(tmp_path)
