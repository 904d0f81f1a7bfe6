"""Prestarted processes: no secrets in their environment."""

from __future__ import annotations

import psutil
import pytest

from hpo.execution.prestart import PrestartedProcess

SECRET = "correct-horse"


def test_a_prestarted_process_inherits_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("HPO_STORAGE", f"postgresql://me:{SECRET}@host/d")
    monkeypatch.setenv("HPO_HOME", "here")
    process = PrestartedProcess()
    try:
        environment = psutil.Process(process.process.pid).environ()
    finally:
        process.end()
    assert environment["HPO_HOME"] == "here"
    assert not [name for name, value in environment.items() if SECRET in value]
