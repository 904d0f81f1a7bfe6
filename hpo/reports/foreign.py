"""Foreign trials of a study, described for people: enqueued trials that wait or were refused, and trials that other
programs added, train or ended. They are neither ranked nor counted. `hpo.storage.own_trials` tells them from own
trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hpo import endings
from hpo.printable import listed
from hpo.reports.text import plural

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

    from hpo.storage.own_trials import ForeignKind

NAMED = 8
"""Largest number of trials named in a sentence; the others are counted."""

WORDS: dict[ForeignKind, str] = {
    "waiting": "waits for its turn",
    "refused": "was refused",
    "running": "is in the hands of another program",
    "added": "was added by another program",
    "taken": "was ended by another program",
}

BY_OTHERS: dict[ForeignKind, str] = {
    "added": "added",
    "running": "in their hands",
    "taken": "begun here, ended by them",
}
"""Kind -> heading for several trials."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ForeignTrial:
    """One trial that is not this program's."""

    number: int
    kind: ForeignKind
    reason: str
    """Why it was refused; empty for others."""


def foreign_trial(kind: ForeignKind, trial: FrozenTrial) -> ForeignTrial:
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
        numbers = listed((trial.number for trial in waiting), NAMED)
        found.append(
            f"{plural(len(waiting), 'enqueued trial')} {verb} ({numbers}), to begin in the order of their numbers "
            "while the budget of trials lasts."
        )
    if refused:
        verb = "was" if len(refused) == 1 else "were"
        reasons = listed((f"trial {trial.number}: {trial.reason}" for trial in refused), NAMED, "; ")
        found.append(f"{plural(len(refused), 'enqueued trial')} {verb} refused ({reasons}).")
    if others:
        verb = "is" if len(others) == 1 else "are"
        named = "; ".join(
            f"{words}: {listed((trial.number for trial in others if trial.kind == kind), NAMED)}"
            for kind, words in BY_OTHERS.items()
            if any(trial.kind == kind for trial in others)
        )
        found.append(
            f"{plural(len(others), 'trial')} that other programs wrote into the study {verb} left out of counts, "
            f"ranking and search ({named})."
        )
    return found
