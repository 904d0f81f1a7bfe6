"""Shards on a Ray cluster: Ray chooses a machine for each worker and detects when a worker is lost.

The machines share no files with the coordinator: all data is in orders and replies. The package must be installed on
all of them. A shard for which the cluster has no free resources shares the process of another shard, so a study goes on
as long as one machine is left.
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
from hpo.execution.shard import Shard, timed_reply
from hpo.execution.sizing import most_busy_workers
from hpo.execution.supervised import Channel, Died

try:
    import ray
    from ray.exceptions import RayError, RayTaskError
except ImportError as error:
    raise InputError("--engine ray: Ray is not installed; install it with `pip install 'hpo[ray]'`") from error

ROOM_SECONDS = 20.0
"""How long a new worker waits for free resources before its shard shares the process of another worker."""
LONGEST_SECONDS = 600.0
"""How long it waits where no other worker runs, e.g. for a cluster that grows on demand."""
TOKENS = (
    " If a cluster is there, it may ask for a token: set RAY_AUTH_MODE=token, and RAY_AUTH_TOKEN to what `ray "
    "get-auth-token` prints on its head."
)


class Host:
    """A process on a machine of the cluster (a Ray actor). It holds one shard, or several where resources are short."""

    def __init__(self, job: TrainingJob, threads: int) -> None:
        torch.set_num_threads(threads)
        self.job = job
        self.shards: dict[int, Shard] = {}

    def ready(self) -> None:
        """Does nothing; a call returns as soon as the process runs."""

    def do(self, number: int, order: Order) -> Reply:
        """Executes an order in the shard of this number, which is created empty if it does not exist."""
        if number not in self.shards:
            self.shards[number] = Shard(self.job)
        return timed_reply(self.shards[number], order)

    def end(self, number: int) -> None:
        """Drops a shard."""
        self.shards.pop(number, None)


class Hosts:
    """All hosts of a run."""

    def __init__(self, begin: Callable[[], Any]) -> None:
        """`begin` asks Ray for a new host."""
        self.begin = begin
        self.numbers = count()
        self.running: dict[Any, set[int]] = {}
        """Hosts that run, with the numbers of their shards."""

    def open_channel(self) -> RayShard:
        return RayShard(self, next(self.numbers))

    def least_loaded(self) -> Any:
        """The host with the fewest shards."""
        return min(self.running, key=lambda host: len(self.running[host]))


class RayShard:
    """A channel to a shard on a host."""

    def __init__(self, hosts: Hosts, number: int) -> None:
        self._hosts = hosts
        self._number = number
        self._host = hosts.begin()
        self._ready = self._host.ready.remote()
        self._placed = False
        self._order: Order | None = None
        self._reply: Any = None

    def send(self, order: Order) -> None:
        self._order = order
        self._reply = self._host.do.remote(self._number, order)

    def receive(self) -> Reply:
        try:
            if not self._placed:
                self._find_place()
            reply: Reply = ray.get(self._reply)
        except RayTaskError as error:
            raise error.cause from error
        except RayError as error:
            self._hosts.running.pop(self._host, None)
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            if "error raised in its creation task" in lines[0]:
                raise MachineError(
                    f"a machine of the Ray cluster cannot begin a worker ({lines[-1]}). Install the same versions of "
                    "hpo and of what it needs on all of its machines; then run the same command again."
                ) from None
            raise Died(lines[0]) from None
        return reply

    def close(self) -> None:
        shards = self._hosts.running.get(self._host, set())
        shards.discard(self._number)
        if shards:
            self._host.end.remote(self._number)
            return
        self._hosts.running.pop(self._host, None)
        ray.kill(self._host)

    def _find_place(self) -> None:
        """Waits for the new host; where Ray has no place for it, moves the shard to a host that runs."""
        timeout = ROOM_SECONDS if self._hosts.running else LONGEST_SECONDS
        ready, _ = ray.wait([self._ready], timeout=timeout)
        if ready:
            ray.get(self._ready)
        elif self._hosts.running:
            ray.kill(self._host)
            self._host = self._hosts.least_loaded()
            self._reply = self._host.do.remote(self._number, self._order)
        else:
            raise MachineError(
                f"the Ray cluster has had no room for a worker for {LONGEST_SECONDS:.0f} s. Every trial is saved at "
                "its last whole epoch. Add a machine, or ask for fewer --threads; then run the same command again."
            )
        self._placed = True
        self._hosts.running.setdefault(self._host, set()).add(self._number)


@contextmanager
def on_cluster(job: TrainingJob, resources: Resources) -> Iterator[tuple[Callable[[], Channel], int]]:
    """Connects to the cluster; a function that starts a shard there, and how many shards to start."""
    with connected(resources):
        available = ray.cluster_resources()
        gpus = int(available.get("GPU", 0)) if resources.cluster_device != "cpu" else 0
        places = gpus or int(available.get("CPU", 1)) // resources.threads
        workers = resources.workers or min(places, most_busy_workers(job.spec, job.examples.replicas))
        workers = useful_workers(max(1, workers), job.spec)
        worker = ray.put(worker_job(job, resources, workers, device="cuda" if gpus else "cpu", remote=True))
        actor = ray.remote(
            num_cpus=resources.threads,
            num_gpus=1 / -(-workers // gpus) if gpus else 0,
            max_restarts=0,  # a restarted host would be empty; `SupervisedShard` restores the shards instead
            scheduling_strategy="SPREAD",
        )(Host)
        hosts = Hosts(lambda: actor.remote(worker, resources.threads))
        yield hosts.open_channel, workers


@contextmanager
def connected(resources: Resources) -> Iterator[None]:
    """Connects to the cluster for the duration of the block, unless a surrounding block has. Raises `InputError` where
    the cluster lacks the device that was asked for."""
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
    """Connects to the cluster at an address, or starts one on this machine."""
    given = os.environ.get("RAY_ADDRESS")  # Ray uses it where no address is given
    place = f"--address {address}" if address else f"RAY_ADDRESS {given}" if given else None
    listens = False
    try:
        listens = _probe(address or given or "")
        with secrets_withheld():
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    except (OSError, ValueError, RuntimeError, ImportError, RayError) as error:
        raise _no_cluster(place, error, unwelcome=listens) from error


def _probe(address: str) -> bool:
    """Checks first whether something listens at an address, because Ray tries a wrong one for many minutes. True if
    something does; False if the address has no host and port to try. Raises `OSError` where nothing listens."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    complete = bool(host) and port.isdigit()
    if complete:
        socket.create_connection((host, int(port)), timeout=10).close()
    return complete


def _no_cluster(place: str | None, error: Exception, *, unwelcome: bool = False) -> MachineError:
    """The error for a cluster that cannot be used; `unwelcome`: something listens at the address, but refused."""
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
