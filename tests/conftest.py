"""Settings for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("hpo", deadline=None)
settings.load_profile("hpo")


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A command that ran in this process leaves signals to end it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
