"""A shard in the coordinator's own process, for studies that one process trains."""

from __future__ import annotations

from hpo.execution.job import TrainingJob
from hpo.execution.messages import Order, Reply
from hpo.execution.shard import Shard


class InProcessShard:
    """A channel to a shard in this process. An order is executed when its reply is received."""

    def __init__(self, job: TrainingJob) -> None:
        self._shard = Shard(job)
        self._order: Order | None = None

    def send(self, order: Order) -> None:
        self._order = order

    def receive(self) -> Reply:
        assert self._order is not None
        return self._shard.do(self._order)

    def close(self) -> None:
        """Does nothing: there is no process to end."""
