"""Random failures: real workers on PostgreSQL, killed and stopped at random, and a server that restarts.

The large one takes ten minutes: `python -m benchmarks.chaos`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import chaos
from benchmarks.chaos import Server, storm, study
from benchmarks.crowd import inspect
from tests.crowd import ForkedCrowd
from tests.databases import server as shared_server

__all__ = ["shared_server"]


@pytest.fixture
def mortal(shared_server: object) -> Iterator[Server]:
    """A server of the test's own. The other is asked for so that the package is there, or its lack is dealt with."""
    with chaos.server() as running:
        yield running


@pytest.fixture(autouse=True)
def forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "Crowd", ForkedCrowd)


def test_random_failures(mortal: Server, tmp_path: Path) -> None:
    with ForkedCrowd(mortal.database(), tmp_path, lease=2.0) as crowd:
        crowd.submit(study("chaos", 24, 80))
        crowd.start(2)
        storm(crowd, mortal, name="chaos", kills=2, restarts=1, stops=1)
        crowd.wait_until_ended("chaos")
        assert crowd.drain() == [0, 0]
        found = inspect(crowd, "chaos", 24, events=4)
        with pytest.raises(AssertionError, match=f"{found.again} epochs trained again"):
            inspect(crowd, "chaos", 24, events=-1)
    assert found.epochs > 24
    assert found.restarted == (), "a kill cost more than the epoch in hand"
    assert found.winner is not None


@pytest.mark.slow
def test_one_worker_with_kills_equals_one_without_and_a_run(mortal: Server, tmp_path: Path) -> None:
    assert chaos.equal(mortal, tmp_path, argparse.Namespace(epochs=60, few=20)).endswith("equal byte for byte")


@pytest.mark.slow
@pytest.mark.parametrize("case", ["full", "cut"])
def test_what_befalls_checkpoints(case: str, mortal: Server, tmp_path: Path) -> None:
    assert "16 trials ended" in chaos.CASES[case](mortal, tmp_path, argparse.Namespace(epochs=60, few=16, seconds=3.0))
