"""The processes that a process has started, directly or not, read from `/proc`; none where there is no such folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def with_descendants(pid: int) -> list[int]:
    """A process and all that it has started."""
    found, waiting = [], [pid]
    while waiting:
        found.append(one := waiting.pop())
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            with suppress(OSError, ValueError):
                waiting += map(int, children.read_text().split())
    return found


def having(pids: Iterable[int], variable: str) -> list[int]:
    """Those of the processes that were started with an environment variable, `NAME=VALUE`."""
    found = []
    for pid in pids:
        with suppress(OSError):
            if variable.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
                found.append(pid)
    return found


def kill_all(pids: Iterable[int]) -> None:
    """Kills processes, unless they have ended."""
    for pid in pids:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
