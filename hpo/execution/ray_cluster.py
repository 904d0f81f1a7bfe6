"""Shards on a Ray cluster: Ray finds a machine for each worker and notices when one is gone.

Nothing is shared with the machines but what orders and answers hold; the package has to be installed there. A worker
for which there is no room moves in with another one, so a study goes on while one machine is left.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import torch

from hpo.environment import secrets_withheld
from hpo.errors import InputError, MachineError
from hpo.execution.job import TrainingJob, worker_job
from hpo.execution.messages import Order, Reply
from hpo.execution.prestart import useful_workers
from hpo.execution.resources import Resources
from hpo.execution.shard import Shard, answer
from hpo.execution.sizing import busy
from hpo.execution.supervised import Channel, Died

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError as error:
    raise InputError("--engine ray: Ray is not installed; install it with `pip install 'hpo[ray]'`") from error

ROOM_SECONDS = 20.0
"""How long a new worker waits for room while others are there to move in with."""
LONGEST_SECONDS = 600.0
"""How long it waits where there is no other, e.g. for a cluster that grows on demand."""
TOKENS = (
    " If a cluster is there, it may ask for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what `ray "
    "get-auth-token` prints on its head."
)


class Host:
    """A process on some machine of the cluster, with a shard, or several where room is short."""

    def __init__(self, job: TrainingJob, threads: int) -> None:
        torch.set_num_threads(threads)
        self.job = job
        self.shards: dict[int, Shard] = {}

    def ready(self) -> None:
        """Answered once the process has found a place and begun."""

    def do(self, number: int, order: Order) -> Reply:
        """Gives an order to the shard of this number; a new number is an empty shard."""
        if number not in self.shards:
            self.shards[number] = Shard(self.job)
        return answer(self.shards[number], order)

    def end(self, number: int) -> None:
        self.shards.pop(number, None)


class Hosts:
    """All hosts of a run."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        """`begin` asks Ray for a host."""
        self.begin = begin
        self.numbers = count()
        self.settled: dict[Any, set[int]] = {}
        """Hosts that run, with their shards."""

    def open_channel(self) -> RayShard:
        return RayShard(self, next(self.numbers))

    def fewest(self) -> Any:
        """The host with the fewest shards."""
        return min(self.settled, key=lambda host: len(self.settled[host]))


class RayShard:
    """A shard with a host."""

    def __init__(self, hosts: Hosts, number: int) -> None:
        self._hosts = hosts
        self._number = number
        self._host = hosts.begin()
        self._ready = self._host.ready.remote()
        self._placed = False
        self._order: Order | None = None
        self._answer: Any = None

    def send(self, order: Order) -> None:
        self._order = order
        self._answer = self._host.do.remote(self._number, order)

    def receive(self) -> Reply:
        try:
            if not self._placed:
                self._find_place()
            answer: Reply = ray.get(self._answer)
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            self._hosts.settled.pop(self._host, None)
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            if "error raised in its creation task" in lines[0]:
                raise MachineError(
                    f"a machine of the Ray cluster cannot begin a worker ({lines[-1]}). Install the same versions of "
                    "hpo and of what it needs on all of its machines; then run the same command again."
                ) from None
            raise Died(lines[0]) from None
        return answer

    def close(self) -> None:
        shards = self._hosts.settled.get(self._host, set())
        shards.discard(self._number)
        if shards:
            self._host.end.remote(self._number)
            return
        self._hosts.settled.pop(self._host, None)
        ray.kill(self._host)

    def _find_place(self) -> None:
        patience = ROOM_SECONDS if self._hosts.settled else LONGEST_SECONDS
        there, _ = ray.wait([self._ready], timeout=patience)
        if there:
            ray.get(self._ready)
        elif self._hosts.settled:
            ray.kill(self._host)
            self._host = self._hosts.fewest()
            self._answer = self._host.do.remote(self._number, self._order)
        else:
            raise MachineError(
                f"the Ray cluster has had no room for a worker for {LONGEST_SECONDS:.0f} s. Every trial is saved at "
                "its last whole epoch. Add a machine, or ask for fewer --threads; then run the same command again."
            )
        self._placed = True
        self._hosts.settled.setdefault(self._host, set()).add(self._number)


@contextmanager
def on_cluster(job: TrainingJob, resources: Resources) -> Iterator[tuple[Callable[[], Channel], int]]:
    """How to begin a shard on the cluster, and how many to begin."""
    with connected(resources):
        available = ray.cluster_resources()
        gpus = int(available.get("GPU", 0)) if resources.cluster_device != "cpu" else 0
        places = gpus or int(available.get("CPU", 1)) // resources.threads
        workers = resources.workers or min(places, busy(job.spec, job.examples.replicas))
        workers = useful_workers(max(1, workers), job.spec)
        share = ray.put(worker_job(job, resources, workers, device="cuda" if gpus else "cpu", elsewhere=True))
        actor = ray.remote(
            num_cpus=resources.threads,
            num_gpus=1 / -(-workers // gpus) if gpus else 0,
            max_restarts=0,  # a host that begins anew is empty; the coordinator knows what was in it
            scheduling_strategy="SPREAD",
        )(Host)
        hosts = Hosts(lambda: actor.remote(share, resources.threads))
        yield hosts.open_channel, workers


@contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """Within the block there is a cluster that has what was asked for; `on_cluster` uses the same."""
    begun = not ray.is_initialized()
    if begun:
        _begin(resources.address)
    try:
        if resources.cluster_device == "cuda" and not ray.cluster_resources().get("GPU"):
            raise InputError("--device cuda: the Ray cluster has no GPU; use --device cpu")
        yield
    finally:
        if begun:
            ray.shutdown()


def _begin(address: str | None) -> None:
    """Connects to the cluster at an address, or begins one here."""
    given = os.environ.get("RAY_ADDRESS")  # Ray goes by it where no address is given
    place = f"--address {address}" if address else f"RAY_ADDRESS {given}" if given else None
    listens = False
    try:
        listens = _probe(address or given or "")
        with secrets_withheld():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    except (OSError, ValueError, RuntimeError, ImportError, RayError) as error:
        raise _no_cluster(place, error, unwelcome=listens) from error


def _probe(address: str) -> bool:
    """Ray tries a wrong address for many minutes. Raises `OSError` where nothing listens; False if it cannot tell."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    known = bool(host) and port.isdigit()
    if known:
        socket.create_connection((host, int(port)), timeout=10).close()
    return known


def _no_cluster(place: str | None, error: Exception, *, unwelcome: bool = False) -> MachineError:
    """`unwelcome`: something does listen there."""
    lines = [line.strip() for line in str(error).splitlines()] or [type(error).__name__]
    if lines[0].startswith("Version mismatch"):
        there, _, here = " ".join(lines).partition(" This process ")
        return MachineError(
            f"the Ray cluster at {place or 'hand'} and this process do not fit together. {there.partition(': ')[2]}. "
            f"This process {here.strip()}. Install the same versions of Ray and Python on all machines."
        )
    if place is None:
        return MachineError(
            f"Ray cannot be started on this machine ({lines[0]}). Name a cluster that runs with --address, or leave "
            "out --engine ray."
        )
    return MachineError(
        f"no Ray cluster answers at {place} ({lines[0]}). Start one with `ray start --head`, correct the address, "
        f"or leave it out.{TOKENS if unwelcome else ''}"
    )
