"""Opening the executor that a run asks for: a shard in this process, in several child processes, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import torch

from hpo import space
from hpo.execution.child_process import ChildProcess
from hpo.execution.executor import Executor
from hpo.execution.in_process import InProcessShard
from hpo.execution.job import worker_job
from hpo.execution.prestart import ProcessPool, useful_workers
from hpo.execution.resources import Resources
from hpo.execution.sizing import justified, usable_cores
from hpo.execution.supervised import Channel
from hpo.runtime.session import Session


@contextmanager
def open_executor(session: Session, resources: Resources, pool: ProcessPool | None = None) -> Iterator[Executor]:
    """The executor for what is left of a study, from processes at hand where there are some."""
    replicas = session.job.examples.replicas
    if resources.engine == "ray":
        from hpo.execution.ray_cluster import on_cluster

        with (
            on_cluster(session, resources) as (open_channel, workers),
            Executor(open_channel, workers=workers, replicas=replicas, shares_files=False) as executor,
        ):
            yield executor
        return
    workers = useful_workers(resources.workers or _local_workers(session, resources), session.spec)
    with Executor(
        _local_channels(session, resources, workers, pool or ProcessPool()), workers=workers, replicas=replicas
    ) as executor:
        yield executor


def left(session: Session) -> float:
    """The share of the study's trials that have not ended."""
    budget = space.budget(session.spec)
    ended = sum(trial.state.is_finished() for trial in session.searcher.all_trials())
    return max(0.0, 1 - ended / budget)


def _local_workers(session: Session, resources: Resources) -> int:
    if resources.device.type == "cuda":  # one process keeps a GPU busy
        places = 1 if resources.device.index is not None else torch.cuda.device_count()
    else:
        places = usable_cores() // resources.threads
    return justified(session.spec, session.job.examples, left(session), places)


def _local_channels(session: Session, resources: Resources, workers: int, pool: ProcessPool) -> Callable[[], Channel]:
    if workers == 1:
        return lambda: InProcessShard(session.job)
    job, numbers = worker_job(session.job, resources, workers), count(1)

    def open_channel() -> ChildProcess:
        number = next(numbers)
        device = resources.device
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", number % torch.cuda.device_count())
        return ChildProcess(
            pool.take(),
            replace(job, device=str(device)),
            threads=max(1, resources.threads // workers),
            title=f"hpo: worker {number} of {session.spec.study.name}",
        )

    return open_channel
