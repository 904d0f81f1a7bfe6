"""Why trials end: the words in which their rows say it, and what these words mean for trials that could go on.

Rows keep the words for people; whoever has to tell one ending from another asks here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ATTRIBUTE = "ended"
"""User attribute of an ended trial that says why. Whoever else ends a trial does not write it."""

FINISHED = "finished"
"""It trained its last epoch."""

FINISHED_BEFORE = "finished_before"
"""System attribute of a trial that had finished when it was given more epochs: after how many."""

UNITS = {"epochs": "epochs", "wall_seconds": "seconds", "cpu_seconds": "processor seconds"}
"""Budgets of `[search]` beside the one of trials, and what they count."""

_BUDGET = "the study's budget of "
_PRUNED = "pruned by "
_DIVERGED = "diverged"
_REFUSED = "refused: "
_UNDEFINED = "objective undefined"
_FORMERLY_UNDEFINED = "the objective is not finite"
"""How versions that called it a divergence ended an undefined objective's reason."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """A budget that is spent, so that everything in flight has to end."""

    setting: str
    """Its name in `[search]`."""
    limit: float

    def __str__(self) -> str:
        return f"{_BUDGET}{amount(self.limit, UNITS[self.setting])} was spent"


def amount(limit: float, units: str) -> str:
    """`1 epoch`, `1234567 epochs`, `0.5 seconds`."""
    return f"{limit:.15g} {units.removesuffix('s') if limit == 1 else units}"


def cut(spent: Spent, epoch: int) -> str:
    """A budget of the study was spent."""
    return f"{spent} at epoch {epoch}"


def stopped_early(epoch: int) -> str:
    """Its curve had not improved for long enough."""
    return f"early stopping at epoch {epoch}"


def pruned(pruner: str, epoch: int) -> str:
    """The pruner saw no hope for it."""
    return f"{_PRUNED}{pruner} at epoch {epoch}"


def diverged(epoch: int) -> str:
    """Its loss or its gradient is not finite: training went wrong."""
    return f"{_DIVERGED} at epoch {epoch}: the loss is not finite"


def undefined(objective: str, epoch: int) -> str:
    """Training went well, but the objective has no value, or no finite one: the data or the metric is to blame."""
    return f"{_UNDEFINED} at epoch {epoch}: {objective} has no finite value on the validation part"


def refused(reason: str) -> str:
    """It was enqueued with what the study cannot train; it never began."""
    return f"{_REFUSED}{reason}"


def is_refused(ended: str) -> bool:
    """Whether an enqueued trial was refused."""
    return ended.startswith(_REFUSED)


def refusal(ended: str) -> str:
    """Why an enqueued trial was refused."""
    return ended.removeprefix(_REFUSED)


def of(attributes: Mapping[str, Any]) -> str:
    """Why a trial of these user attributes ended; empty where it has not, or where another program wrote there."""
    ended = attributes.get(ATTRIBUTE, "")
    return ended if isinstance(ended, str) else ""


def has_diverged(ended: str) -> bool:
    """Whether a trial that ended so diverged."""
    return ended.startswith(_DIVERGED) and not is_undefined(ended)


def is_undefined(ended: str) -> bool:
    """Whether a trial ended so because its objective had no value."""
    return ended.startswith(_UNDEFINED) or (ended.startswith(_DIVERGED) and ended.endswith(_FORMERLY_UNDEFINED))


def is_cut(ended: str) -> bool:
    """Whether a trial ended so because a budget was spent."""
    return ended.startswith(_BUDGET)


def goes_on(ended: str, *, also_pruned: bool) -> bool:
    """Whether a trial that ended so goes on when trials are given more epochs: all that it lacked was epochs, or,
    with `also_pruned`, the pruner's favour."""
    return ended.startswith((FINISHED, _BUDGET, _PRUNED) if also_pruned else (FINISHED, _BUDGET))


def without_epoch(ended: str) -> str:
    """The reason alone, which trials have in common."""
    return _UNDEFINED if is_undefined(ended) else ended.partition(" at epoch ")[0]
