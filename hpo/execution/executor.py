"""The shards of a study as one trainer: orders go to all of them before any answer is awaited, so they work at once.

Which shard trains a trial, and whether one of them died meanwhile, cannot be told from what is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from hpo.execution.messages import Admit, Past, Resume, Settle, Settled, Started, Train, Trained
from hpo.execution.placement import place
from hpo.execution.supervised import Channel, SupervisedShard
from hpo.studyfile.records import TrialConfig
from hpo.training.trainer import Failure, Tick

R = TypeVar("R", Started, Trained, Settled)


class Executor:
    """Trains the trials that were admitted and have not ended."""

    def __init__(
        self, open_channel: Callable[[], Channel], *, workers: int, replicas: int, shares_files: bool = True
    ) -> None:
        """`open_channel` begins an empty shard; `shares_files`: one that reaches this machine's files."""
        self.replicas = replicas
        self._shares_files = shares_files
        self.train_seconds = 0.0
        """Time spent training, that of the slowest shard in each epoch."""
        self._shards: list[SupervisedShard] = []
        self._sizes: dict[int, int] = {}
        self._busy: list[SupervisedShard] = []
        """Members that train an epoch now."""
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
        """Whether some trials are not yet where they stood: the others wait, so that all go on in step."""
        return any(shard.behind for shard in self._shards)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of shards in other processes."""
        return sum(shard.cpu_seconds for shard in self._shards)

    @property
    def deaths(self) -> int:
        """Workers that died and were replaced."""
        return sum(shard.deaths for shard in self._shards)

    def admit(self, trials: Mapping[int, TrialConfig]) -> list[Failure]:
        """Starts trials. What cannot be built is answered as a failure."""
        return self._started([Admit(trials=share) for share in self._placed(trials)])

    def resume(self, trials: Sequence[Past]) -> list[Failure]:
        """Goes on with trials from where they stood, or from before that: then some are `behind`. What cannot be built
        is answered as a failure."""
        shares = self._placed({past.number: past.config for past in trials})
        return self._started([Resume(trials=tuple(past for past in trials if past.number in own)) for own in shares])

    def start(self) -> None:
        """Lets every trial train an epoch, or only those that are behind; other work may be done until `tick`."""
        behind = self.behind
        self._busy = [shard for shard in self._shards if (shard.behind if behind else shard.configs)]
        for shard in self._busy:
            shard.send(Train(behind=behind))

    def tick(self) -> Tick:
        """What the epoch begun by `start` gave: no lanes, if it was of those that are behind. The trials of the
        failures have ended."""
        answers = _gather(self._busy, Trained)
        self._busy = []
        self.train_seconds += max((answer.seconds for answer in answers), default=0.0)
        epochs = [lane for answer in answers for lane in answer.tick.epochs]
        failures = [failure for answer in answers for failure in answer.failures]
        return Tick(
            epochs=tuple(sorted(epochs, key=lambda lane: (lane.trial, lane.replica))),
            failures=tuple(sorted(failures, key=lambda failure: failure.trial)),
        )

    def settle(
        self,
        *,
        best: Collection[int],
        wanted: Collection[int],
        ended: Collection[int],
        ends: Collection[int] = (),
        path: Callable[[], Path] | None = None,
    ) -> list[Settled]:
        """Remembers the weights of these trials as their `best`, hands over those `wanted` and the last states of
        `ends`, and lets the `ended` go.
        Every shard answers with the state of the trials it goes on with, in a file at a `path` if it can."""
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
            self._sizes.pop(number, None)
        return _gather(shards, Settled)

    def clear(self) -> None:
        """Lets all trials go, as if none had been admitted."""
        _gather(self._busy, Trained)
        self._busy = []
        self.settle(best=(), wanted=(), ended={number for shard in self._shards for number in shard.configs})

    def parameters(self, trial: int) -> int:
        """Size of the trial's model."""
        return self._sizes[trial]

    def close(self) -> None:
        for shard in self._shards:
            shard.close()

    def _placed(self, trials: Mapping[int, TrialConfig]) -> list[dict[int, TrialConfig]]:
        return place(trials, [shard.configs for shard in self._shards], self.replicas)

    def _started(self, orders: Sequence[Admit | Resume]) -> list[Failure]:
        told = [(shard, order) for shard, order in zip(self._shards, orders, strict=True) if order.trials]
        for shard, order in told:
            shard.send(order)
        failures: list[Failure] = []
        for answer in _gather([shard for shard, _ in told], Started):
            self._sizes |= answer.sizes
            failures += answer.failures
        return sorted(failures, key=lambda failure: failure.trial)


def _gather(shards: Sequence[SupervisedShard], kind: type[R]) -> list[R]:
    answers: list[R] = []
    for shard in shards:
        answer = shard.receive()
        assert isinstance(answer, kind)
        answers.append(answer)
    return answers
