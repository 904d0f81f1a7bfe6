"""Working directories for the tests of the command, and the server of the storage's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.runs import Project
from tests.storage.conftest import new_database, server

__all__ = ["new_database", "project", "server"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(folder=tmp_path)
    made.write()
    return made
