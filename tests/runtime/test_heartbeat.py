"""Heartbeats: after an error of one, the next ones are sent."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError

from hpo.errors import StorageError
from hpo.registry import leases
from hpo.runtime.heartbeat import Heartbeat
from hpo.storage.open import open_store, sqlite_url
from tests.service.working import wait_for


@pytest.mark.parametrize("error", [StorageError("planted"), TimeoutError("planted"), KeyError("planted")])
def test_heartbeats_go_on_after_an_error(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    give = leases.send_heartbeat

    def failing(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) < 3:
            raise error
        return give(*arguments)

    monkeypatch.setattr(leases, "send_heartbeat", failing)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        heartbeat = Heartbeat(store, "worker", 0.06)
        heartbeat.start()
        wait_for(lambda: len(calls) > 4)
        heartbeat.stop()
        (worker,) = leases.workers(store)
    assert worker.seen > worker.started
    assert caplog.text.count("no sign of life could be given: ") == 1


def test_a_heartbeat_without_registration_adds_no_row(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        heartbeat = Heartbeat(store, "process", 60.0, registers=False)
        heartbeat.start()
        heartbeat.beat()
        assert leases.workers(store) == []
        heartbeat.stop()
