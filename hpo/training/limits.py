"""The limit on the lanes of a program: a fixed number, or one found by doubling it for as long as that is faster.

More lanes divide the fixed cost of an operation by more trials, until the tensors no longer fit the processor's cache
or the memory. Limits that were found are stored in a file, by machine and program. They change the speed, never a
result.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import torch

from hpo import disk

FIRST = 16
"""The first limit."""
GAIN = 1.05
"""A doubling pays if a lane's epoch is faster by this factor."""
LOOKS = 3
"""Epochs of a full program that are timed for each limit; the fastest counts."""
SHARE = 0.5
"""Share of the free memory that lanes may take."""


@dataclass(kw_only=True, slots=True)
class Search:
    """The search for one program's number of lanes."""

    limit: int
    most: int
    """The number of lanes that fit in memory."""
    settled: bool
    """Whether the search has ended."""
    seconds: list[float] = field(default_factory=list)
    """Durations of a lane's epoch, in full programs of `limit` lanes."""
    before: float | None = None
    """The shortest duration with half as many lanes."""


class Limits:
    """The largest number of lanes of each program."""

    def __init__(
        self, fixed: int | None = None, file: Path | None = None, machine: str = "", share: float = SHARE
    ) -> None:
        """`fixed`: the limit of all programs; None: limits are found, and stored in `file` under the name of the
        `machine`. `share`: share of the free memory that lanes of this process may take."""
        self.fixed = fixed
        self.share = share
        self.file = file
        self.machine = machine
        self._searches: dict[str, Search] = {}

    def add(self, program: str, bytes_per_lane: int, device: torch.device) -> None:
        """Adds a program, if it is new."""
        if program in self._searches:
            return
        most = max(1, int(self.share * free_memory(device)) // bytes_per_lane)
        stored = None if self.fixed else self._stored().get(f"{self.machine} {program}")
        wanted = self.fixed or stored or FIRST
        settled = self.fixed is not None or stored is not None
        self._searches[program] = Search(limit=min(wanted, most), most=most, settled=settled)

    def of(self, program: str) -> int:
        """The largest number of lanes at present."""
        return self._searches[program].limit

    def timed(self, program: str, lanes: int, seconds: float) -> bool:
        """Records the duration of a lane's epoch in a program of `lanes` lanes; True if the limit has changed."""
        search = self._searches[program]
        if search.settled or lanes != search.limit:
            return False
        search.seconds.append(seconds)
        if len(search.seconds) < LOOKS:
            return False
        fastest = min(search.seconds)
        if search.before is not None and fastest * GAIN > search.before:
            search.limit, search.settled = search.limit // 2, True
        elif 2 * search.limit > search.most:  # not stored: in another run there may be more memory
            search.settled = True
            return False
        else:
            search.limit, search.before, search.seconds = 2 * search.limit, fastest, []
            return True
        self._store(program, search.limit)
        return True

    def halve(self, program: str, lanes: int) -> None:
        """Lowers the limit to half of `lanes`, which did not fit into memory."""
        search = self._searches[program]
        search.limit = search.most = max(1, min(search.limit, lanes) // 2)
        search.settled = True

    def _stored(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(self.file.read_text()) if self.file else {}
        except (OSError, ValueError):  # missing or damaged: the limits are found again
            return {}
        return {name: lanes for name, lanes in found.items() if isinstance(lanes, int) and lanes > 0}

    def _store(self, program: str, lanes: int) -> None:
        if self.file is None:
            return
        text = json.dumps({**self._stored(), f"{self.machine} {program}": lanes}, indent=1, sort_keys=True)
        with suppress(OSError):  # the file saves some seconds of the next run; nothing else depends on it
            disk.write(self.file, text.encode("utf-8"))


def free_memory(device: torch.device) -> int:
    """Bytes that new tensors may take."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    left = _left_to_container(Path("/sys/fs/cgroup"))
    free = _free_on_machine()
    return free if left is None else min(free, left)


def _free_on_machine() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return int(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) // 2


def _left_to_container(root: Path) -> int | None:
    """Bytes left up to the container's memory limit; cached file contents count as free. None: there is no limit."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            most, now = ((root / name).read_text().strip() for name in (limit, used))
            stat = (root / limit).with_name("memory.stat").read_text().splitlines()
        except OSError:
            continue
        dropped = sum(int(line.split()[1]) for line in stat if line.startswith("inactive_file "))
        return max(0, int(most) - int(now) + dropped) if most.isdigit() else None
    return None


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out. On CPU PyTorch has no class of its own for that."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "not enough memory" in str(error)
