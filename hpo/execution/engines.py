"""Opens the executor that a run asks for: shards in this process, in child processes, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import torch

from hpo.errors import InputError
from hpo.execution.child_process import ChildProcess
from hpo.execution.executor import Executor
from hpo.execution.functions.capacity import Capacity
from hpo.execution.functions.executor import FunctionExecutor
from hpo.execution.functions.job import FunctionJob
from hpo.execution.job import TrainingJob, worker_job
from hpo.execution.prestart import ProcessPool, useful_workers
from hpo.execution.resources import Resources
from hpo.execution.shard import InProcessShard
from hpo.execution.sizing import usable_cores, worthwhile_workers
from hpo.execution.supervised import Channel
from hpo.studyfile.file import StudySpec

AnyExecutor = Executor | FunctionExecutor


def refuse_options_of_models(spec: StudySpec, resources: Resources) -> None:
    """Raises `InputError` for options that have no effect on a training function of the user's own."""
    if spec.function is None:
        return
    if resources.engine == "ray":
        raise InputError("--engine ray: training functions of your own run on this machine only; leave it out")
    each, more = "each trial of a training function of your own has a process to itself", "leave it out"
    if resources.lanes is not None:
        raise InputError(f"--lanes {resources.lanes}: {each}; {more}. --workers N trains N trials at once.")
    if resources.compile == "on":
        raise InputError(f"--compile on: {each}; {more}. torch.compile in the function does the same for its model.")
    if resources.threads > 1:
        raise InputError(
            f"--threads {resources.threads}: {each}; {more}. `[trial.resources] cpus = {resources.threads}` in the "
            "study file gives each trial so many threads."
        )


@contextmanager
def open_executor(
    job: TrainingJob | FunctionJob, resources: Resources, *, left: float = 1.0, pool: ProcessPool | None = None
) -> Iterator[AnyExecutor]:
    """Opens an executor for a study. `left`: share of the study that is still to be trained, which bounds the number of
    workers. `pool`: processes that were started before; the rest are started here."""
    if isinstance(job, FunctionJob):
        with function_executor(job, resources.workers) as functions:
            yield functions
        return
    replicas = job.examples.replicas
    if resources.engine == "ray":
        from hpo.execution.ray_cluster import on_cluster

        with (
            on_cluster(job, resources) as (open_channel, workers),
            Executor(open_channel, workers=workers, replicas=replicas, shares_files=False) as executor,
        ):
            yield executor
        return
    workers = useful_workers(resources.workers or _local_workers(job, resources, left), job.spec)
    with Executor(
        _local_channels(job, resources, workers, pool or ProcessPool()), workers=workers, replicas=replicas
    ) as executor:
        yield executor


def function_executor(job: FunctionJob, workers: int | None = None) -> FunctionExecutor:
    """Opens an executor of training functions on this machine. `workers`: processes that train at once; None: as many
    as fit."""
    device = torch.device(job.device)
    gpus: tuple[int, ...] = ()
    if device.type == "cuda":
        gpus = tuple(range(torch.cuda.device_count())) if device.index is None else (device.index,)
    return FunctionExecutor(job, Capacity.of(job.resources, cores=usable_cores(), workers=workers, gpus=gpus))


def _local_workers(job: TrainingJob, resources: Resources, left: float) -> int:
    if resources.device.type == "cuda":  # one process keeps a GPU busy
        places = 1 if resources.device.index is not None else torch.cuda.device_count()
    else:
        places = usable_cores() // resources.threads
    return worthwhile_workers(job.spec, job.examples, left, places)


def _local_channels(job: TrainingJob, resources: Resources, workers: int, pool: ProcessPool) -> Callable[[], Channel]:
    if workers == 1:
        return lambda: InProcessShard(job)
    worker, numbers = worker_job(job, resources, workers), count(1)

    def open_channel() -> ChildProcess:
        number = next(numbers)
        device = resources.device
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", number % torch.cuda.device_count())
        return ChildProcess(
            pool.take(),
            replace(worker, device=str(device)),
            threads=max(1, resources.threads // workers),
            title=f"hpo: worker {number} of {job.spec.study.name}",
        )

    return open_channel
