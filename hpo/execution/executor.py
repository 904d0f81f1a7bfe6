"""The executor: the shards of a study, used as if they were one trainer.

Orders are sent to all shards before any reply is awaited, so that the shards work at the same time. The results do not
depend on which shard trains a trial, or on whether a shard died and was replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from hpo.execution.messages import Admit, Diagnose, Diagnosed, Past, Resume, Settle, Settled, Started, Train, Trained
from hpo.execution.placement import place
from hpo.execution.supervised import Channel, SupervisedShard
from hpo.optim.coefficients import state_bytes
from hpo.studyfile.records import TrialConfig
from hpo.training.diagnosis.measure import Found
from hpo.training.trainer import Failure, Tick

R = TypeVar("R", Started, Trained, Diagnosed, Settled)


class Executor:
    """Trains the trials that were admitted or resumed and have not ended."""

    def __init__(
        self, open_channel: Callable[[], Channel], *, workers: int, replicas: int, shares_files: bool = True
    ) -> None:
        """`open_channel` starts an empty shard; `shares_files`: shards can write this machine's files."""
        self.replicas = replicas
        self._shares_files = shares_files
        self.train_seconds = 0.0
        """Seconds spent training: the sum over epochs of the slowest shard's time."""
        self._shards: list[SupervisedShard] = []
        self._shapes: dict[int, tuple[tuple[int, ...], ...]] = {}
        """Shapes of the parameters of each trial's model, by trial number."""
        self._flops: dict[int, int] = {}
        """Operations of each trial's model for one example, where they were counted."""
        self._busy: list[SupervisedShard] = []
        """Shards that are training an epoch."""
        try:
            for _ in range(workers):
                self._shards.append(SupervisedShard(open_channel))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def workers(self) -> int:
        return len(self._shards)

    @property
    def behind(self) -> bool:
        """Whether some resumed trials have not yet been trained up to the epoch they had reached before. The other
        trials wait for them, so that all trials advance in lock step."""
        return any(shard.behind for shard in self._shards)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of shards in other processes, in seconds."""
        return sum(shard.cpu_seconds for shard in self._shards)

    @property
    def deaths(self) -> int:
        """How often a worker died and was replaced."""
        return sum(shard.deaths for shard in self._shards)

    def admit(self, trials: Mapping[int, TrialConfig]) -> list[Failure]:
        """Starts new trials. Returns a failure for each trial that cannot be built."""
        return self._send_to_shards([Admit(trials=share) for share in self._place(trials)])

    def resume(self, trials: Sequence[Past]) -> list[Failure]:
        """Continues trials from their checkpoints. Those whose checkpoint is older than the epoch they had reached are
        `behind`. Returns a failure for each trial that cannot be built."""
        shares = self._place({past.number: past.config for past in trials})
        orders = [Resume(trials=tuple(past for past in trials if past.number in share)) for share in shares]
        return self._send_to_shards(orders)

    def start(self) -> None:
        """Starts an epoch of every trial; if some are behind, of those alone. Does not wait: `tick` does."""
        behind = self.behind
        self._busy = [shard for shard in self._shards if (shard.behind if behind else shard.configs)]
        for shard in self._busy:
            shard.send(Train(behind=behind))

    def tick(self) -> Tick:
        """Waits for the epoch begun by `start` and returns its results: no lanes, if it trained trials that are behind.
        Trials among the failures have ended."""
        replies = _gather(self._busy, Trained)
        self._busy = []
        self.train_seconds += max((reply.seconds for reply in replies), default=0.0)
        epochs = [lane for reply in replies for lane in reply.tick.epochs]
        failures = [failure for reply in replies for failure in reply.failures]
        return Tick(
            epochs=tuple(sorted(epochs, key=lambda lane: (lane.trial, lane.replica))),
            failures=tuple(sorted(failures, key=lambda failure: failure.trial)),
        )

    def diagnose(self, ending: Collection[int], finished: Collection[int]) -> dict[int, Found]:
        """What trials that are about to end show, by trial number; those that `finished` are looked at for signs of
        trouble at their end, too."""
        shards = [shard for shard in self._shards if shard.configs.keys() & set(ending)]
        for shard in shards:
            own = shard.configs.keys()
            shard.send(Diagnose(trials=frozenset(own & set(ending)), finished=frozenset(own & set(finished))))
        return {number: found for reply in _gather(shards, Diagnosed) for number, found in reply.found.items()}

    def settle(
        self,
        *,
        best: Collection[int],
        wanted: Collection[int],
        ended: Collection[int],
        ends: Collection[int] = (),
        path: Callable[[], Path] | None = None,
    ) -> list[Settled]:
        """Acts on the decisions about the epoch just trained. All arguments but `path` are trial numbers.

        `best`: their present weights become their best weights. `wanted`: return their best weights. `ends`: return
        their last state. `ended`: remove them, after all that.

        Every shard also returns the state of the trials that go on: written to a new `path()` if it shares this
        machine's files, else as bytes."""
        shards = [shard for shard in self._shards if shard.configs]
        for shard in shards:
            own = shard.configs.keys()
            shard.send(
                Settle(
                    best=frozenset(own & set(best)),
                    wanted=frozenset(own & set(wanted)),
                    ended=frozenset(own & set(ended)),
                    ends=frozenset(own & set(ends)),
                    path=path() if path and self._shares_files else None,
                )
            )
        for number in ended:
            self._shapes.pop(number, None)
            self._flops.pop(number, None)
        return _gather(shards, Settled)

    def halt(self) -> None:
        """Nothing to do: between two ticks nothing trains."""

    def clear(self) -> None:
        """Removes all trials."""
        _gather(self._busy, Trained)
        self._busy = []
        self.settle(best=(), wanted=(), ended={number for shard in self._shards for number in shard.configs})

    def costs(self, trial: int, config: TrialConfig) -> dict[str, int]:
        """Number of parameters of the trial's model, bytes of its optimizer's state, and operations of the model for
        one example where they were counted."""
        shapes = self._shapes[trial]
        costs = {
            "parameters": sum(map(prod, shapes)),
            "optimizer_state_bytes": state_bytes(config.optimizer, shapes),
        }
        return costs | ({"flops": self._flops[trial]} if trial in self._flops else {})

    def close(self) -> None:
        for shard in self._shards:
            shard.close()

    def _place(self, trials: Mapping[int, TrialConfig]) -> list[dict[int, TrialConfig]]:
        """The trials of each shard."""
        return place(trials, [shard.configs for shard in self._shards], self.replicas)

    def _send_to_shards(self, orders: Sequence[Admit | Resume]) -> list[Failure]:
        """Sends each shard its order, unless that has no trials, and waits for the replies."""
        sent = [(shard, order) for shard, order in zip(self._shards, orders, strict=True) if order.trials]
        for shard, order in sent:
            shard.send(order)
        failures: list[Failure] = []
        for reply in _gather([shard for shard, _ in sent], Started):
            self._shapes |= reply.shapes
            self._flops |= reply.flops
            failures += reply.failures
        return sorted(failures, key=lambda failure: failure.trial)


def _gather(shards: Sequence[SupervisedShard], kind: type[R]) -> list[R]:
    replies: list[R] = []
    for shard in shards:
        reply = shard.receive()
        assert isinstance(reply, kind)
        replies.append(reply)
    return replies
