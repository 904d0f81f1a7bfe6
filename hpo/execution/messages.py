"""What the coordinator asks of a shard, and what a shard answers: plain records, bytes and tensors that can travel.

An order can be narrowed to some of its trials, so that a shard which died can be repeated with a part of them.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from hpo.lengths import Former
from hpo.studyfile.records import TrialConfig
from hpo.training.packing import SavedLane, Written
from hpo.training.trainer import Failure, Tick


@dataclass(frozen=True, kw_only=True, slots=True)
class Admit:
    """Start trials. Answered by `Started`."""

    trials: dict[int, TrialConfig]
    """By number."""

    def only(self, trials: Set[int]) -> Admit:
        return Admit(trials={number: config for number, config in self.trials.items() if number in trials})


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """Where a trial stood that had been training."""

    epochs: int
    """Epochs to bring it to."""
    best: tuple[int, ...]
    """Epochs that were its best when they had just been trained."""
    former: Former = ()
    """How many epochs trials were to have when these were trained, where they have more now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """A trial that had been training."""

    number: int
    config: TrialConfig
    goal: Goal
    saved: tuple[tuple[SavedLane, ...], ...]
    """What there is to continue from, newest first; each a lane for every replica."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume:
    """Go on with trials from where they stood. Those for which not all of that was saved are behind: the next epochs
    are theirs alone, and nothing is reported of them. Answered by `Started`."""

    trials: tuple[Past, ...]

    def only(self, trials: Set[int]) -> Resume:
        return Resume(trials=tuple(past for past in self.trials if past.number in trials))


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Go on from lanes that `Settled` held. Answered by `Started`."""

    lanes: Written | bytes
    configs: dict[int, TrialConfig]
    """Of the trials wanted, by number."""
    behind: dict[int, Goal] = field(default_factory=dict)
    """Those of them that are behind."""

    def only(self, trials: Set[int]) -> Load:
        wanted = {number: config for number, config in self.configs.items() if number in trials}
        return replace(self, configs=wanted, behind={n: goal for n, goal in self.behind.items() if n in trials})


@dataclass(frozen=True, kw_only=True, slots=True)
class Train:
    """Train every lane one epoch, or only those that are behind. Answered by `Trained`."""

    behind: bool

    def only(self, trials: Set[int]) -> Train:
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Settle:
    """What follows from the epoch just trained. Answered by `Settled`."""

    best: frozenset[int]
    """Trials whose present weights are their best so far."""
    wanted: frozenset[int]
    """Trials whose best weights are to be handed over."""
    ended: frozenset[int]
    """Trials that make room, after that."""
    ends: frozenset[int] = frozenset()
    """Trials whose last state is to be handed over."""
    path: Path | None
    """Where to write the state of those that go on; None where this machine's files cannot be reached."""

    def only(self, trials: Set[int]) -> Settle:
        return replace(
            self,
            best=self.best & trials,
            wanted=self.wanted & trials,
            ends=self.ends & trials,
            ended=self.ended & trials,
        )


Order = Admit | Resume | Load | Train | Settle


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What a shard says when it has obeyed."""

    cpu_seconds: float = 0.0
    """Processor time it took, where the coordinator's own process did not spend it."""
    behind: dict[int, Goal] = field(default_factory=dict)
    """Trials that are not yet where they stood, by number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started(Answer):
    """Trials that train from now on."""

    sizes: dict[int, int]
    """Parameters of each trial's model, by number."""
    failures: tuple[Failure, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained(Answer):
    """One epoch of a shard's lanes; without the lanes, if it was one of those that are behind."""

    tick: Tick
    seconds: float
    """Time it took."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        return self.tick.failures


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """What a trial can go on from that has ended."""

    epoch: int
    """Epochs that it has trained there: fewer than were reported, if it was behind."""
    state: bytes
    """As a file of running trials would hold it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled(Answer):
    """What a shard holds between two epochs."""

    lanes: Written | bytes | None
    """Everything about its running lanes, in the file that was asked for or as such a file would hold it; None where
    there are none."""
    epochs: dict[int, int]
    """Epochs trained by each running trial."""
    weights: dict[int, bytes] = field(default_factory=dict)
    """The best weights that were asked for, by trial; without those of trials that are behind."""
    ends: dict[int, End] = field(default_factory=dict)
    """The last states that were asked for, by trial."""


Reply = Started | Trained | Settled
