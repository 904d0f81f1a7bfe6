"""Main memory: what a trial's processes have for themselves, and what this machine or its container has."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from hpo.execution.functions.descendants import with_descendants

SYSTEM = Path("/")
"""Root of the file system, below which are `proc` and `sys`."""
LIMITS = {"": ("memory.max", ""), "memory": ("memory.limit_in_bytes", "memory")}
"""By controller in `/proc/self/cgroup` (none: version 2 of control groups): file of the limit, and folder in
`/sys/fs/cgroup`."""


def memory_of(pid: int, server: int | None = None) -> int:
    """Bytes of main memory that a process and those that it started take; 0 where the system does not say. Pages that
    several of them share count once. What they share with their `server`, whose forks they are, is the server's; mapped
    files are nobody's, because the system takes their memory back when it needs it."""
    inherited = 0
    if server is not None:
        private, in_all = _pages(server)
        inherited = in_all - private
    pages = [_pages(one) for one in with_descendants(pid)]
    return max(sum(private for private, _ in pages), sum(max(0, in_all - inherited) for _, in_all in pages))


def memory_gib(root: Path = SYSTEM) -> float | None:
    """Main memory that this process and others may take: the machine's, or its container's limit where that is less;
    None where the system does not say."""
    found = _limits(root)
    with suppress(ValueError, OSError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    return min(found) / 2**30 if found else None


def _limits(root: Path) -> list[int]:
    """Limits of this process's control group and of those above it, in bytes."""
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        groups = []
    found = []
    for line in ["0::/", "0:memory:/", *groups]:  # a container's own group is often the root that it sees
        _, controllers, path = line.split(":", 2)
        for name, (file, folder) in LIMITS.items():
            if name not in controllers.split(","):
                continue
            parts = [part for part in path.split("/") if part not in ("", "..")]
            for depth in range(len(parts) + 1):
                with suppress(OSError, ValueError):  # "max" is no limit
                    found.append(int(root.joinpath("sys/fs/cgroup", folder, *parts[:depth], file).read_text()))
    return found


def _pages(pid: int) -> tuple[int, int]:
    """Bytes of a process's pages without mapped files: of those that it has alone, and of all, where each that others
    have, too, is divided by their number. Zeros where it has ended, or the system does not say."""
    found = {}
    with suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
            name, size, _ = line.split()
            found[name] = 1024 * int(size)
    if "Pss_Anon:" not in found:  # systems that do not know it
        with suppress(OSError, ValueError):
            resident, shared = map(int, Path(f"/proc/{pid}/statm").read_text().split()[1:3])
            return ((resident - shared) * os.sysconf("SC_PAGE_SIZE"),) * 2
        return 0, 0
    in_all = found["Pss_Anon:"] + found["Pss_Shmem:"]
    return min(in_all, found["Private_Dirty:"]), in_all
