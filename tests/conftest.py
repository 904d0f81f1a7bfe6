"""Settings for all tests."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

MEMORY, ENOUGH_BYTES = "/dev/shm", 4 << 30
"""Where the tests' folders are, if it has room: there a database need not wait for a disk."""

pytest_plugins = ["tests.databases"]

if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)
# Otherwise each of the many processes of the tests compiles every module anew, and so does the next run.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
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
