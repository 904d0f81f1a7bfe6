"""Trials of a study that are not this program's, named once for people: enqueued ones that wait or were refused, and
what other programs added, train or ended. They neither rank nor count; which they are is found in `storage.ownership`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo import endings
from hpo.reports.text import plural

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from hpo.storage.own_trials import Kind

NAMED = 8
"""Most trials named in a sentence; the rest is counted."""

WORDS: dict[Kind, str] = {
    "waiting": "waits for its turn",
    "refused": "was refused",
    "running": "is in the hands of another program",
    "added": "was added by another program",
    "taken": "was ended by another program",
}

BY_OTHERS: dict[Kind, str] = {"added": "added", "running": "in their hands", "taken": "begun here, ended by them"}
"""The same, as a heading for several."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTrial:
    """One trial that is not this program's."""

    number: int
    kind: Kind
    reason: str
    """Why it was refused; empty for others."""


def foreign_trial(kind: Kind, trial: FrozenTrial) -> ForeignTrial:
    """The report's view of one of `Store.foreign_trials`."""
    reason = str(endings.of(trial.user_attrs).detail) if kind == "refused" else ""
    return ForeignTrial(number=trial.number, kind=kind, reason=reason)


def sentences(foreign: Sequence[ForeignTrial]) -> list[str]:
    """At most three sentences: on the waiting trials, on the refused ones and on all others."""
    waiting = [trial for trial in foreign if trial.kind == "waiting"]
    refused = [trial for trial in foreign if trial.kind == "refused"]
    others = [trial for trial in foreign if trial.kind in BY_OTHERS]
    found = []
    if waiting:
        verb = "waits" if len(waiting) == 1 else "wait"
        numbers = _listed([str(trial.number) for trial in waiting])
        found.append(
            f"{plural(len(waiting), 'enqueued trial')} {verb} ({numbers}), to begin in the order of their numbers "
            "while the budget of trials lasts."
        )
    if refused:
        verb = "was" if len(refused) == 1 else "were"
        reasons = _listed([f"trial {trial.number}: {trial.reason}" for trial in refused], "; ")
        found.append(f"{plural(len(refused), 'enqueued trial')} {verb} refused ({reasons}).")
    if others:
        verb = "is" if len(others) == 1 else "are"
        named = "; ".join(
            f"{words}: {_listed([str(trial.number) for trial in others if trial.kind == kind])}"
            for kind, words in BY_OTHERS.items()
            if any(trial.kind == kind for trial in others)
        )
        found.append(
            f"{plural(len(others), 'trial')} that other programs wrote into the study {verb} left out of counts, "
            f"ranking and search ({named})."
        )
    return found


def _listed(texts: Sequence[str], between: str = ", ") -> str:
    more = [f"and {len(texts) - NAMED} more"] if len(texts) > NAMED else []
    return between.join([*texts[:NAMED], *more])
