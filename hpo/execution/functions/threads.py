"""How many threads the numerical libraries use in the process of a trial.

The server loads them with one thread: a library that has started more keeps the server from being forked.
"""

from __future__ import annotations

import os
import sys

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def thread_limits(count: int) -> dict[str, str]:
    """Environment variables that make libraries which are loaded later use so many threads."""
    return dict.fromkeys(VARIABLES, str(count))


def threads_of(cpus: float) -> int:
    """Threads of a trial that occupies so many cores."""
    return max(1, int(cpus))


def set_threads(cpus: float) -> None:
    """Has the libraries that this process has loaded, and those that it loads later, use as many threads as the trial
    has cores."""
    count = threads_of(cpus)
    os.environ.update(thread_limits(count))
    if count > 1:
        from threadpoolctl import threadpool_limits

        threadpool_limits(count)
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(count)
