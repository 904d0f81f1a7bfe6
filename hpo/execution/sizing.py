"""The number of workers where the user gives none: bounded by the usable cores, the study's length and its trials in
flight."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

from hpo.execution.resources import plain_seconds
from hpo.studyfile.file import StudySpec
from hpo.training.batches import Examples

LANES_EACH = 4
"""Fewest lanes of a worker: with fewer, most of its time goes into calling operations."""
SECONDS_EACH = 8.0
"""Estimated seconds of training for each worker, at least: a worker takes some seconds to start."""


def worthwhile_workers(spec: StudySpec, examples: Examples, left: float, places: int) -> int:
    """The number of workers for the share of the study that is `left` to train, at most `places`."""
    seconds = left * plain_seconds(spec, examples)
    return max(1, min(places, int(seconds / SECONDS_EACH), most_busy_workers(spec, examples.replicas)))


def most_busy_workers(spec: StudySpec, replicas: int) -> int:
    """The largest number of workers that the trials in flight keep busy. All replicas of a trial are on one worker."""
    concurrency = spec.concurrency
    return max(1, min(concurrency, concurrency * replicas // LANES_EACH))


def usable_cores() -> int:
    """Cores that this process may use: those of its CPU affinity, but no more than the CPU quota of its container."""
    bound = hasattr(os, "sched_getaffinity")  # Linux
    cores = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    quota = _quota(Path("/sys/fs/cgroup"))
    return min(cores, max(1, ceil(quota))) if quota else cores


def _quota(root: Path) -> float | None:
    """The container's CPU quota in cores; None where there is none."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            limit = (root / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (root / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    return int(limit) / int(period) if limit.isdigit() else None
