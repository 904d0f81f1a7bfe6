"""Modules and folders stay small enough to be read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINES = {"hpo": 300, "tests": 400}
"""Top folder -> the most lines of a module below it."""
MODULES = 16
"""The most modules of a folder in `hpo/`, with its `__init__`."""


@pytest.mark.parametrize("top", LINES)
def test_no_module_is_long(top: str) -> None:
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (ROOT / top).rglob("*.py")}
    assert lines
    assert {str(path.relative_to(ROOT)): count for path, count in lines.items() if count > LINES[top]} == {}


def test_no_folder_is_full() -> None:
    """The migrations apart: each version of the database adds one."""
    counts = Counter(path.parent.relative_to(ROOT).as_posix() for path in (ROOT / "hpo").rglob("*.py"))
    del counts["hpo/database/migrations/versions"]
    assert {folder: count for folder, count in counts.items() if count > MODULES} == {}
