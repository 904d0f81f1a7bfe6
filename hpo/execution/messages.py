"""Messages between executor and shard: orders and replies, as records that can be pickled.

Every order can be narrowed to some of its trials (`only`), so that it can be repeated in a replacement of a shard with
a part of its trials.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from hpo.attributes.lengths import Former
from hpo.execution.functions.states import SavedState
from hpo.studyfile.records import TrialConfig
from hpo.training.diagnosis.measure import Found
from hpo.training.packing import SavedLane, Written
from hpo.training.trainer import Failure, Tick


@dataclass(frozen=True, kw_only=True, slots=True)
class Admit:
    """Order: start new trials. The reply is `Started`."""

    trials: dict[int, TrialConfig]
    """Configurations by trial number."""

    def only(self, trials: Set[int]) -> Admit:
        return Admit(trials={number: config for number, config in self.trials.items() if number in trials})


@dataclass(frozen=True, kw_only=True, slots=True)
class Goal:
    """The progress that a resumed trial had made before."""

    epochs: int
    """Epochs that it had trained, and has to reach again."""
    best: tuple[int, ...]
    """Epochs that were its best so far when they had just been trained."""
    former: Former = ()
    """Earlier values of the epochs that trials are to have, where that number was raised."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """A trial to resume."""

    number: int
    config: TrialConfig
    goal: Goal
    saved: tuple[tuple[SavedLane | SavedState, ...], ...]
    """Its checkpoints, newest first; each has a lane for every replica, or what the trial's function saved."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resume:
    """Order: continue trials from their checkpoints. Trials that have not reached their goal are behind: the next
    epochs train them alone, and are not reported. The reply is `Started`."""

    trials: tuple[Past, ...]

    def only(self, trials: Set[int]) -> Resume:
        return Resume(trials=tuple(past for past in self.trials if past.number in trials))


@dataclass(frozen=True, kw_only=True, slots=True)
class Load:
    """Order: continue from the lanes of a `Settled` reply. The reply is `Started`."""

    lanes: Written | bytes
    configs: dict[int, TrialConfig]
    """Configurations of the trials to continue, by number."""
    behind: dict[int, Goal] = field(default_factory=dict)
    """Goals of those that are behind, by number."""

    def only(self, trials: Set[int]) -> Load:
        wanted = {number: config for number, config in self.configs.items() if number in trials}
        return replace(self, configs=wanted, behind={n: goal for n, goal in self.behind.items() if n in trials})


@dataclass(frozen=True, kw_only=True, slots=True)
class Train:
    """Order: train one epoch. The reply is `Trained`."""

    behind: bool
    """Train the trials that are behind only, instead of all others."""

    def only(self, trials: Set[int]) -> Train:
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Settle:
    """Order: act on the decisions about the epoch just trained. The reply is `Settled`."""

    best: frozenset[int]
    """Trials whose present weights are their best so far."""
    wanted: frozenset[int]
    """Trials whose best weights are to be returned."""
    ended: frozenset[int]
    """Trials to remove after that."""
    ends: frozenset[int] = frozenset()
    """Trials whose last state is to be returned."""
    path: Path | None
    """Where to write the state of the trials that go on; None: return it as bytes."""

    def only(self, trials: Set[int]) -> Settle:
        return replace(
            self,
            best=self.best & trials,
            wanted=self.wanted & trials,
            ends=self.ends & trials,
            ended=self.ended & trials,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnose:
    """Order: look for signs of trouble in trials that are about to end. The reply is `Diagnosed`."""

    finished: frozenset[int]
    """Trials whose last weights are looked at, too."""
    trials: frozenset[int]

    def only(self, trials: Set[int]) -> Diagnose:
        return Diagnose(finished=self.finished & trials, trials=self.trials & trials)


Order = Admit | Resume | Load | Train | Diagnose | Settle


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What every reply has."""

    cpu_seconds: float = 0.0
    """Processor time that the order took in a process other than the coordinator's."""
    behind: dict[int, Goal] = field(default_factory=dict)
    """Goals of the trials that are behind, by number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Started(Answer):
    """Reply: trials have been started, restored or loaded."""

    shapes: dict[int, tuple[tuple[int, ...], ...]]
    """Shapes of the parameters of each trial's model, by trial number."""
    flops: dict[int, int]
    """Operations of each trial's model for one example, where they are an objective and can be counted."""
    failures: tuple[Failure, ...]
    """Trials that could not be started."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trained(Answer):
    """Reply: one epoch has been trained."""

    tick: Tick
    """Results of the lanes; failures alone, if trials that are behind were trained."""
    seconds: float
    """Duration of the epoch."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        return self.tick.failures


@dataclass(frozen=True, kw_only=True, slots=True)
class Diagnosed(Answer):
    """Reply: what was found in trials, by trial number."""

    found: dict[int, Found]


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """The last state of a trial that has ended, from which it can be continued."""

    epoch: int
    """Epochs trained in this state: fewer than were reported, if the trial was behind."""
    state: bytes
    """In the format of a file of running trials (`hpo.training.packing`), or of what a function saved
    (`hpo.execution.functions.states`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled(Answer):
    """Reply: the state of a shard between two epochs."""

    lanes: Written | bytes | None
    """State of its running lanes: the file written at the path of the order, or the bytes of such a file; None where no
    lane runs."""
    epochs: dict[int, int]
    """Epochs trained by each running trial, by trial number."""
    weights: dict[int, bytes] = field(default_factory=dict)
    """The best weights of the `wanted` trials, by trial number; trials that are behind are left out."""
    ends: dict[int, End] = field(default_factory=dict)
    """The last states of the `ends` of the order, by trial number."""
    states: dict[int, End] = field(default_factory=dict)
    """What the functions of running trials saved since the last order, by trial number."""


Reply = Started | Trained | Diagnosed | Settled
