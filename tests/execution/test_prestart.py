"""Prestarted processes: no secrets in their environment."""

from __future__ import annotations

import time

import psutil
import pytest

from hpo.execution.prestart import PrestartedProcess

SECRET = "correct-horse"


def _environment(pid: int) -> dict[str, str]:
    """The environment of a process that has just been started: for a moment, the system shows an empty one."""
    until = time.monotonic() + 30
    while not (environment := psutil.Process(pid).environ()) and time.monotonic() < until:
        time.sleep(0.01)
    return environment


def test_a_prestarted_process_inherits_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", SECRET)
    monkeypatch.setenv("HPO_STORAGE", f"postgresql://me:{SECRET}@host/d")
    monkeypatch.setenv("HPO_HOME", "here")
    process = PrestartedProcess()
    try:
        environment = _environment(process.process.pid)
    finally:
        process.end()
    assert environment["HPO_HOME"] == "here"
    assert not [name for name, value in environment.items() if SECRET in value]
