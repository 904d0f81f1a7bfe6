"""What the trials of a training function have told since the last tick."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hpo.execution.functions.messages import Reported
from hpo.training.lane import LaneEpoch
from hpo.training.trainer import Failure, Tick


@dataclass(frozen=True, kw_only=True, slots=True)
class FunctionEpoch(LaneEpoch):
    """What a function reported of one epoch. What it did not report is NaN."""

    @property
    def diverged(self) -> bool:
        """Always false: a function may report losses of which the search knows nothing. An objective that is not finite
        ends the trial, too."""
        return False


@dataclass(kw_only=True, slots=True)
class Results:
    """Epochs, failures and returns of one tick. A trial has at most one of them in a tick."""

    epochs: dict[int, FunctionEpoch] = field(default_factory=dict)
    """By trial number."""
    failures: dict[int, Failure] = field(default_factory=dict)
    returned: set[int] = field(default_factory=set)
    """Trials whose function has returned."""

    def __contains__(self, number: int) -> bool:
        return number in self.epochs or number in self.failures or number in self.returned

    def __len__(self) -> int:
        return len(self.epochs) + len(self.failures) + len(self.returned)

    def report(self, number: int, message: Reported, seconds: float) -> None:
        """Adds an epoch."""
        metrics = dict(message.metrics)
        known = {name: metrics.pop(name, math.nan) for name in ("train_loss", "learning_rate", "gradient_norm")}
        self.epochs[number] = FunctionEpoch(
            trial=number, replica=0, epoch=message.epoch, seconds=seconds, metrics=metrics, **known
        )

    def fail(self, number: int, error: str, traceback: str = "") -> None:
        """Adds a failure."""
        self.failures[number] = Failure(trial=number, error=error, traceback=traceback)

    def tick(self) -> Tick:
        """The results in the order of trial numbers."""
        return Tick(
            epochs=tuple(self.epochs[number] for number in sorted(self.epochs)),
            failures=tuple(self.failures[number] for number in sorted(self.failures)),
            returned=tuple(sorted(self.returned)),
        )
