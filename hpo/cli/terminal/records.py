"""Records of the parts of a study that `hpo show` shows: its workers, its best trials, those in training and those that
failed. `terminal.status` finds what a study has of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerStatus:
    """A worker that works on the study, has fallen silent or says why it cannot; or an `hpo run`."""

    name: str
    host: str
    pid: int
    alive: bool
    """Whether its leases have not expired."""
    trials: int
    """Number of trials that it trains."""
    complaint: str | None
    """Why it cannot work on the study; None where it can."""

    @property
    def works(self) -> bool:
        return self.alive and not self.complaint


@dataclass(frozen=True, kw_only=True, slots=True)
class Budgets:
    """Budgets of the service beside the one of trials; None: none."""

    epochs: int | None
    wall_seconds: float | None
    cpu_seconds: float | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BestTrial:
    """One of the best finished trials."""

    number: int
    value: float | None
    values: Mapping[str, float]
    """Its objectives by name."""
    level: float | None
    """The mean of the last third of its values, by which trials are ordered; None where they are ordered by value."""
    spread: float | None
    """Standard deviation of its value over folds and repeats; None where there is one of them."""
    epochs: int
    best_epoch: int | None
    seconds: float | None
    """Time that its training took."""
    params: Mapping[str, Any]
    signs: tuple[str, ...]
    """Codes of the signs of trouble in its training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SignOfTrouble:
    """One kind of sign of trouble, and the trials that show it."""

    code: str
    trials: tuple[int, ...]
    """Their numbers."""
    example: str
    """What is the case in the winner, or in the first of them."""
    way_out: str


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialInTraining:
    """A trial that has not ended."""

    number: int
    worker: str | None
    """The worker that holds it; None where none does."""
    epoch: int
    """The last one that was reported, from 1; 0 before that."""
    value: float | None
    """Its objective at that epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """A trial that failed."""

    number: int
    reason: str
