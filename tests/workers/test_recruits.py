"""Processes that are begun ahead of their work: what they are not told."""

from __future__ import annotations

import psutil
import pytest

from hpo.workers.recruits import Recruit

SECRET = "correct-horse"


def test_a_recruit_inherits_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("HPO_STORAGE", f"postgresql://me:{SECRET}@host/d")
    monkeypatch.setenv("HPO_HOME", "here")
    recruit = Recruit()
    try:
        environment = psutil.Process(recruit.process.pid).environ()
    finally:
        recruit.end()
    assert environment["HPO_HOME"] == "here"
    assert not [name for name, value in environment.items() if SECRET in value]
