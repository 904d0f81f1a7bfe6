"""Why trials end: a code with what is known about it, which a trial's row stores, and the words that are made from it.

Code asks for the code; words are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

CODE, DETAIL, EPOCH = ATTRIBUTES = ("ended", "ended_detail", "ended_epoch")
"""User attributes of an ended trial that say why. Whoever else ends a trial does not write them."""

FINISHED_BEFORE = "finished_before"
"""System attribute of a trial that had finished when it was given more epochs: after how many."""

PROMOTION = "promotion"
"""Detail of a trial that was pruned where it had paused, and may go on."""

UNITS = {"epochs": "epochs", "wall_seconds": "seconds", "cpu_seconds": "processor seconds"}
"""Budgets of `[search]` beside the one of trials, and what they count."""


class Ending(StrEnum):
    """Codes of endings. The database stores them: none is ever renamed."""

    FINISHED = "finished"
    """It trained its last epoch."""
    STOPPED_EARLY = "stopped_early"
    """Its curve had not improved for long enough."""
    PRUNED = "pruned"
    """The pruner ended it. The detail is the pruner's name."""
    DIVERGED = "diverged"
    """Its loss or its gradient is not finite: training went wrong."""
    UNDEFINED = "undefined"
    """Training went well, but the objective has no value, or no finite one: the data or the metric is to blame. The
    detail is the objective; earlier versions did not record it."""
    BUDGET = "budget"
    """A budget of the study was spent. The detail says which."""
    FAILED = "failed"
    """An error ended it. The detail is the error."""
    REFUSED = "refused"
    """It was enqueued with what the study cannot train, and never began. The detail says why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """A budget that is spent, so that everything in flight has to end."""

    setting: str
    """Its name in `[search]`."""
    limit: float | str
    """In the budget's units. A text, as in the words, where an earlier version recorded a rounded number."""

    def __str__(self) -> str:
        units = UNITS[self.setting]
        limit = f"{self.limit} {units}" if isinstance(self.limit, str) else amount(self.limit, units)
        return f"the study's budget of {limit} was spent"


def amount(limit: float, units: str) -> str:
    """`1 epoch`, `1234567 epochs`, `0.5 seconds`."""
    return f"{limit:.15g} {units.removesuffix('s') if limit == 1 else units}"


_CAUSES = {
    Ending.FINISHED: "finished",
    Ending.STOPPED_EARLY: "early stopping",
    Ending.PRUNED: "pruned by {detail}",
    Ending.DIVERGED: "diverged",
    Ending.UNDEFINED: "objective undefined",
    Ending.BUDGET: "{detail}",
    Ending.FAILED: "failed: {detail}",
    Ending.REFUSED: "refused: {detail}",
}
_PAUSED = "paused at a rung"
"""Words of a trial that was pruned by promotion: it was not judged to be bad, others were better then."""
_WITHOUT_EPOCH = (Ending.FINISHED, Ending.FAILED, Ending.REFUSED)
_FORMERLY_UNDEFINED = "diverged at epoch {epoch}: the objective is not finite"
"""Words of versions that took an undefined objective for a divergence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """Why a trial ended. Its text is the words for people."""

    why: Ending | None
    """None where this program recorded no reason: the trial runs, or another program wrote the attributes."""
    detail: str | Spent | None = None
    """What the words need beside the code, see `Ending`. Without a code, what another program wrote."""
    epoch: int | None = None
    """At which epoch it ended, from 1; None where the words do not say."""

    @property
    def cause(self) -> str:
        """The words without the epoch, which trials have in common."""
        if self.paused:
            return _PAUSED
        return str(self.detail or "") if self.why is None else _CAUSES[self.why].format(detail=self.detail)

    def __str__(self) -> str:
        if self.why is None or self.why in _WITHOUT_EPOCH:
            return self.cause
        words = f"{self.cause} at epoch {self.epoch}"
        if self.why is Ending.DIVERGED:
            return f"{words}: the loss is not finite"
        if self.why is Ending.UNDEFINED and self.detail is None:
            return _FORMERLY_UNDEFINED.format(epoch=self.epoch)
        if self.why is Ending.UNDEFINED:
            return f"{words}: {self.detail} has no finite value on the validation part"
        return words

    @property
    def paused(self) -> bool:
        """Whether the trial paused at a rung, where the best go on."""
        return self.why is Ending.PRUNED and self.detail == PROMOTION

    def goes_on(self, *, also_pruned: bool) -> bool:
        """Whether the trial goes on when trials are given more epochs: all that it lacked was epochs, or, with
        `also_pruned`, the pruner's favour."""
        return self.why in (Ending.FINISHED, Ending.BUDGET) or (also_pruned and self.why is Ending.PRUNED)

    def attributes(self) -> dict[str, Any]:
        """The user attributes that record it, the code last."""
        assert self.why is not None
        detail: Any = self.detail
        if isinstance(detail, Spent):
            limit = detail.limit if isinstance(detail.limit, str) else float(detail.limit)
            detail = {"setting": detail.setting, "limit": limit}
        about = {DETAIL: detail, EPOCH: self.epoch, CODE: self.why.value}
        return {key: value for key, value in about.items() if value is not None}


def of(attributes: Mapping[str, Any]) -> Ended:
    """Why a trial of these user attributes ended; without a code where they are not in the form of `attributes`."""
    stored, detail, epoch = (attributes.get(key) for key in ATTRIBUTES)
    code = stored if isinstance(stored, str) else ""
    match code, detail, epoch if type(epoch) is int else None:
        case Ending.FINISHED, _, _:
            return Ended(why=Ending.FINISHED)
        case Ending.STOPPED_EARLY | Ending.DIVERGED, _, int(at):
            return Ended(why=Ending(code), epoch=at)
        case (Ending.PRUNED, str(), int(at)) | (Ending.UNDEFINED, str() | None, int(at)):
            return Ended(why=Ending(code), detail=detail, epoch=at)
        case Ending.BUDGET, {"setting": str(setting), "limit": float() | str() as limit}, int(at) if setting in UNITS:
            return Ended(why=Ending.BUDGET, detail=Spent(setting=setting, limit=limit), epoch=at)
        case Ending.FAILED | Ending.REFUSED, str(), _:
            return Ended(why=Ending(code), detail=detail)
    return Ended(why=None, detail=code)
