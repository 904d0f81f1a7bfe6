"""Working directories for the tests of the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.runs import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(folder=tmp_path)
    made.write()
    return made
