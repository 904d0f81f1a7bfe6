"""Settings for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

pytest_plugins = ["tests.databases"]

torch.set_num_threads(1)
settings.register_profile("hpo", deadline=None)
settings.load_profile("hpo")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Full counts of damaged inputs run where `-m` names them; any other `-m` would ask for them, too."""
    if "mutations" in config.getoption("markexpr"):
        return
    left_out = [item for item in items if item.get_closest_marker("mutations")]
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """A command that ran in this process leaves signals to end it."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
