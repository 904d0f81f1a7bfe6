"""Signs of life: whatever befalls one of them, the next ones are given."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import TimeoutError

from hpo.errors import StorageError
from hpo.storage import leases
from hpo.storage.engine import open_store, sqlite_url
from hpo.workers.pulse import Pulse
from tests.workers.service import wait_for


@pytest.mark.parametrize("error", [StorageError("planted"), TimeoutError("planted"), KeyError("planted")])
def test_signs_of_life_go_on_after_an_error(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[int] = []
    give = leases.give_sign_of_life

    def failing(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) < 3:
            raise error
        return give(*arguments)

    monkeypatch.setattr(leases, "give_sign_of_life", failing)
    with closing(open_store(sqlite_url(tmp_path))) as store:
        pulse = Pulse(store, "worker", 0.06)
        pulse.start()
        wait_for(lambda: len(calls) > 4)
        pulse.stop()
        (worker,) = leases.workers(store)
    assert worker.seen > worker.started
    assert caplog.text.count("no sign of life could be given: ") == 1


def test_one_that_does_not_enrol_leaves_that_to_others(tmp_path: Path) -> None:
    with closing(open_store(sqlite_url(tmp_path))) as store:
        pulse = Pulse(store, "process", 60.0, enrols=False)
        pulse.start()
        pulse.beat()
        assert leases.workers(store) == []
        pulse.stop()
