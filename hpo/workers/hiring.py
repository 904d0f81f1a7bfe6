"""Opening the crew that a run asks for: a shard in this process, in several child processes, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count

import torch

from hpo import space
from hpo.workers.crew import Crew
from hpo.workers.headcount import justified, usable_cores
from hpo.workers.here import Here
from hpo.workers.means import Means
from hpo.workers.member import Channel
from hpo.workers.outfit import shared
from hpo.workers.process import Child
from hpo.workers.recruits import Recruits, employable
from hpo.workers.setup import Bench


@contextmanager
def open_crew(bench: Bench, means: Means, recruits: Recruits | None = None) -> Iterator[Crew]:
    """The crew for what is left of a study, from processes at hand where there are some."""
    replicas = bench.outfit.examples.replicas
    if means.engine == "ray":
        from hpo.workers.cluster import on_cluster

        with (
            on_cluster(bench, means) as (hire, workers),
            Crew(hire, workers=workers, replicas=replicas, shares_files=False) as crew,
        ):
            yield crew
        return
    workers = employable(means.workers or _local_workers(bench, means), bench.spec)
    with Crew(_hire_here(bench, means, workers, recruits or Recruits()), workers=workers, replicas=replicas) as crew:
        yield crew


def left(bench: Bench) -> float:
    """The share of the study's trials that have not ended."""
    budget = space.budget(bench.spec)
    ended = sum(trial.state.is_finished() for trial in bench.searcher.all_trials())
    return max(0.0, 1 - ended / budget)


def _local_workers(bench: Bench, means: Means) -> int:
    if means.device.type == "cuda":  # one process keeps a GPU busy
        places = 1 if means.device.index is not None else torch.cuda.device_count()
    else:
        places = usable_cores() // means.threads
    return justified(bench.spec, bench.outfit.examples, left(bench), places)


def _hire_here(bench: Bench, means: Means, workers: int, recruits: Recruits) -> Callable[[], Channel]:
    if workers == 1:
        return lambda: Here(bench.outfit)
    outfit, numbers = shared(bench.outfit, means, workers), count(1)

    def hire() -> Child:
        number = next(numbers)
        device = means.device
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", number % torch.cuda.device_count())
        return Child(
            recruits.take(),
            replace(outfit, device=str(device)),
            threads=max(1, means.threads // workers),
            title=f"hpo: worker {number} of {bench.spec.study.name}",
        )

    return hire
