"""How many lanes train in one program: a fixed number, or one found by doubling for as long as that pays.

More lanes spread the cost of an operation over more trials, until their numbers outgrow the processor's cache or the
memory. What was found is remembered in a file, by machine and program. The number changes the speed, never a result.
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
"""Lanes to begin with."""
GAIN = 1.05
"""A doubling pays if a lane's epoch is faster by this factor."""
LOOKS = 3
"""Epochs of a full program that are timed before it is judged; the fastest counts."""
SHARE = 0.5
"""Of the free memory, what lanes may take."""


@dataclass(kw_only=True, slots=True)
class Search:
    """The search for one program's number of lanes."""

    limit: int
    most: int
    """What fits in memory."""
    settled: bool
    seconds: list[float] = field(default_factory=list)
    """Of a lane's epoch, with full programs of `limit` lanes."""
    before: float | None = None
    """The fastest with half as many lanes."""


class Limits:
    """The largest number of lanes of each program."""

    def __init__(
        self, fixed: int | None = None, notebook: Path | None = None, machine: str = "", share: float = SHARE
    ) -> None:
        """`fixed` None: to be found, and remembered in `notebook` for this `machine`. `share` of the free memory may
        be taken; several processes on one machine divide it."""
        self.fixed = fixed
        self.share = share
        self.notebook = notebook
        self.machine = machine
        self._searches: dict[str, Search] = {}

    def know(self, program: str, bytes_per_lane: int, device: torch.device) -> None:
        """Begins with a program; later calls change nothing."""
        if program in self._searches:
            return
        most = max(1, int(self.share * free_memory(device)) // bytes_per_lane)
        remembered = None if self.fixed else self._notes().get(f"{self.machine} {program}")
        wanted = self.fixed or remembered or FIRST
        settled = self.fixed is not None or remembered is not None
        self._searches[program] = Search(limit=min(wanted, most), most=most, settled=settled)

    def of(self, program: str) -> int:
        """The largest number of lanes at present."""
        return self._searches[program].limit

    def timed(self, program: str, lanes: int, seconds: float) -> bool:
        """Takes the time that a lane's epoch took in a program of so many lanes; True if the limit has changed."""
        search = self._searches[program]
        if search.settled or lanes != search.limit:
            return False
        search.seconds.append(seconds)
        if len(search.seconds) < LOOKS:
            return False
        fastest = min(search.seconds)
        if search.before is not None and fastest * GAIN > search.before:
            search.limit, search.settled = search.limit // 2, True
        elif 2 * search.limit > search.most:  # not noted: another time there may be more memory
            search.settled = True
            return False
        else:
            search.limit, search.before, search.seconds = 2 * search.limit, fastest, []
            return True
        self._note(program, search.limit)
        return True

    def halve(self, program: str, lanes: int) -> None:
        """So many lanes did not fit into memory."""
        search = self._searches[program]
        search.limit = search.most = max(1, min(search.limit, lanes) // 2)
        search.settled = True

    def _notes(self) -> dict[str, int]:
        try:
            found: dict[str, int] = json.loads(self.notebook.read_text()) if self.notebook else {}
        except (OSError, ValueError):  # not there yet, or damaged: it is found anew
            return {}
        return {name: lanes for name, lanes in found.items() if isinstance(lanes, int) and lanes > 0}

    def _note(self, program: str, lanes: int) -> None:
        if self.notebook is None:
            return
        text = json.dumps({**self._notes(), f"{self.machine} {program}": lanes}, indent=1, sort_keys=True)
        with suppress(OSError):  # a note saves some seconds next time; nothing else depends on it
            disk.write(self.notebook, text.encode("utf-8"))


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
    """Bytes up to a container's limit, file contents that can be dropped not counted; None where there is no limit."""
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
