"""The shards of a study as one trainer: orders go to all of them before any answer is awaited, so they work at once.

Which shard trains a trial, and whether one of them died meanwhile, cannot be told from what is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from hpo.spec.records import TrialConfig
from hpo.training.trainer import Failure, Tick
from hpo.workers.member import Channel, Member
from hpo.workers.orders import Admit, Past, Resume, Settle, Settled, Started, Train, Trained
from hpo.workers.placement import place

R = TypeVar("R", Started, Trained, Settled)


class Crew:
    """Trains the trials that were admitted and have not ended."""

    def __init__(self, hire: Callable[[], Channel], *, workers: int, replicas: int, shares_files: bool = True) -> None:
        """`hire` begins an empty shard; `shares_files`: one that reaches this machine's files."""
        self.replicas = replicas
        self._shares_files = shares_files
        self.train_seconds = 0.0
        """Time spent training, that of the slowest shard in each epoch."""
        self._members: list[Member] = []
        self._sizes: dict[int, int] = {}
        self._busy: list[Member] = []
        """Members that train an epoch now."""
        try:
            for _ in range(workers):
                self._members.append(Member(hire))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def workers(self) -> int:
        return len(self._members)

    @property
    def behind(self) -> bool:
        """Whether some trials are not yet where they stood: the others wait, so that all go on in step."""
        return any(member.behind for member in self._members)

    @property
    def cpu_seconds(self) -> float:
        """Processor time of shards in other processes."""
        return sum(member.cpu_seconds for member in self._members)

    @property
    def deaths(self) -> int:
        """Workers that died and were replaced."""
        return sum(member.deaths for member in self._members)

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
        self._busy = [member for member in self._members if (member.behind if behind else member.configs)]
        for member in self._busy:
            member.send(Train(behind=behind))

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
        members = [member for member in self._members if member.configs]
        for member in members:
            own = member.configs.keys()
            member.send(
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
        return _gather(members, Settled)

    def clear(self) -> None:
        """Lets all trials go, as if none had been admitted."""
        _gather(self._busy, Trained)
        self._busy = []
        self.settle(best=(), wanted=(), ended={number for member in self._members for number in member.configs})

    def parameters(self, trial: int) -> int:
        """Size of the trial's model."""
        return self._sizes[trial]

    def close(self) -> None:
        for member in self._members:
            member.close()

    def _placed(self, trials: Mapping[int, TrialConfig]) -> list[dict[int, TrialConfig]]:
        return place(trials, [member.configs for member in self._members], self.replicas)

    def _started(self, orders: Sequence[Admit | Resume]) -> list[Failure]:
        told = [(member, order) for member, order in zip(self._members, orders, strict=True) if order.trials]
        for member, order in told:
            member.send(order)
        failures: list[Failure] = []
        for answer in _gather([member for member, _ in told], Started):
            self._sizes |= answer.sizes
            failures += answer.failures
        return sorted(failures, key=lambda failure: failure.trial)


def _gather(members: Sequence[Member], kind: type[R]) -> list[R]:
    answers: list[R] = []
    for member in members:
        answer = member.receive()
        assert isinstance(answer, kind)
        answers.append(answer)
    return answers
