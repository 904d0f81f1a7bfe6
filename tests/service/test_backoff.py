"""Back-off: how long pauses are, and how many failures start one."""

from __future__ import annotations

from datetime import datetime

from hpo.service import backoff
from hpo.service.backoff import Backoff

KEY, OTHER = (1, datetime(2026, 1, 1), 1), (1, datetime(2026, 1, 2), 1)


def test_pauses_double_until_something_was_trained() -> None:
    now = 0.0
    own = Backoff(lambda: now)
    lasted = []
    for _ in range(7):
        own.add(KEY, "digits", "no data")
        assert own.is_paused(KEY)
        assert not own.is_paused(OTHER)
        until = own._setbacks[KEY].until
        lasted.append(until - now)
        now = until
        assert not own.is_paused(KEY)
    assert lasted == [60.0, 120.0, 240.0, 480.0, 960.0, 960.0, 960.0]
    assert own.texts == {"digits": "no data"}, "the reason is shown until something was trained"
    own.worked(KEY)
    assert own.texts == {}
    own.add(KEY, "digits", "no data")
    assert own._setbacks[KEY].until - now == 60.0


def test_what_no_pause_helps_waits_for_a_change() -> None:
    own = Backoff(lambda: 1e9)
    own.add(KEY, "digits", "it diverges", hopeless=True)
    assert own._setbacks[KEY].until == float("inf")
    assert not own.is_paused(OTHER), "the same study after an edit"


def test_failures_in_a_row_start_a_pause() -> None:
    own = Backoff(lambda: 0.0)
    assert [own.failed(KEY) for _ in range(backoff.FAILURES)] == [False] * (backoff.FAILURES - 1) + [True]
    own = Backoff(lambda: 0.0)
    own.failed(KEY)
    own.worked(KEY)
    assert not any(own.failed(KEY) for _ in range(backoff.FAILURES - 1))


def test_studies_that_are_gone_are_forgotten() -> None:
    own = Backoff(lambda: 0.0)
    own.add(KEY, "digits", "no data")
    own.add(OTHER, "wine", "no data")
    own.keep({OTHER})
    assert own.texts == {"wine": "no data"}
