"""How many workers train a study where nobody says: as many as there are cores, and as the study gives work to."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

from hpo.execution.resources import plain_seconds
from hpo.studyfile.file import StudySpec
from hpo.training.batches import Examples

LANES_EACH = 4
"""A worker with fewer lanes spends its time on calling operations."""
SECONDS_EACH = 8.0
"""Estimated training from which on another worker pays: it takes some seconds to begin."""


def justified(spec: StudySpec, examples: Examples, left: float, places: int) -> int:
    """Workers for the share of the study that is `left`, where so many have a place."""
    seconds = left * plain_seconds(spec, examples)
    return max(1, min(places, int(seconds / SECONDS_EACH), busy(spec, examples.replicas)))


def busy(spec: StudySpec, replicas: int) -> int:
    """The largest number of workers that the trials in flight keep busy. A trial's replicas stay together."""
    concurrency = spec.search.concurrency
    return max(1, min(concurrency, concurrency * replicas // LANES_EACH))


def usable_cores() -> int:
    """Cores that this process may use: those it is bound to, and no more than its container's share of time."""
    bound = hasattr(os, "sched_getaffinity")  # Linux
    cores = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    quota = _quota(Path("/sys/fs/cgroup"))
    return min(cores, max(1, ceil(quota))) if quota else cores


def _quota(root: Path) -> float | None:
    """Cores' worth of time that a container may take; None where nothing is said."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return int(limit) / int(period) if limit.isdigit() else None
