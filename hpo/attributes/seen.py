"""What was known of a study's trials when a configuration was drawn, or a trial was judged, where trials advance at
their own pace. It is stored with the trial, so that any table can be explained: who asks later finds which reports the
sampler and the pruner had.

A note is `{"trials": T, "training": {number: epochs}}`: of the trials 0 to T - 1, those named were in training and had
reported so many epochs; all others had ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

ATTRIBUTE = "seen"
"""System attribute of a trial with what its draw had seen; with a colon and an epoch, what that decision had seen."""


def key(epoch: int | None = None) -> str:
    """The attribute of the draw, or of the decision after an epoch."""
    return ATTRIBUTE if epoch is None else f"{ATTRIBUTE}:{epoch}"


def note(trials: Iterable[FrozenTrial]) -> dict[str, Any]:
    """What is known of these trials, which are all of the study, by number."""
    known = list(trials)
    training = {str(trial.number): trial.last_step or 0 for trial in known if not trial.state.is_finished()}
    return {"trials": len(known), "training": training}


def of_draw(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a trial's draw had seen, in its system attributes; None where that is not noted."""
    found = attributes.get(ATTRIBUTE)
    return found if isinstance(found, dict) else None


def of_decisions(attributes: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """What the decisions about a trial had seen, by epoch."""
    prefix = f"{ATTRIBUTE}:"
    return {
        int(name.removeprefix(prefix)): value
        for name, value in sorted(attributes.items())
        if name.startswith(prefix) and name.removeprefix(prefix).isdecimal() and isinstance(value, dict)
    }


def in_words(seen: Mapping[str, Any]) -> str:
    """`12 trials, of which 10 (epoch 3), 11 (epoch 1) were in training, others had ended`"""
    training = [f"{number} (epoch {epoch})" for number, epoch in seen.get("training", {}).items()]
    total = seen.get("trials", 0)
    count = f"{total} trial{'' if total == 1 else 's'}"
    return f"{count}, of which {', '.join(training)} were in training, others had ended" if training else count
