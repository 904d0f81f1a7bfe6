"""Trials whose loss or gradient is not finite, and what they have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.health import CHANCE, Finding, failed, passed, warned
from hpo.reports.statistics.ordering import chance_of_higher
from hpo.reports.text import format_number, format_share
from hpo.signs import Code

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.trials import TrialRow

MANY = 0.2
"""Share of the trials that may diverge: a search tries some learning rates that are too high."""


def divergence(e: Evidence) -> Finding:
    """A finding where more than `MANY` of the trials diverged, and two at least; grave where more than half. The cause
    is a learning rate where those of diverged trials are higher (Wilcoxon's rank sum), else unscaled inputs where they
    show the sign of it, else the data where nearly all diverged."""
    gone = [trial for trial in e.trials if trial.ended.why is Ending.DIVERGED]
    share = len(gone) / e.counts.ended if e.counts.ended else 0.0
    if len(gone) < 2 or share < MANY:
        few = f"{len(gone)} of {e.counts.ended} trials diverged" if gone else "No trial diverged"
        return passed(f"{few}.", share)
    trained = [
        trial for trial in e.trials if trial.state in ("COMPLETE", "PRUNED") and trial.ended.why is not Ending.DIVERGED
    ]
    cause, way_out = _cause(gone, trained, share)
    said = f"{len(gone)} of {e.counts.ended} trials diverged ({format_share(share, 0)}): {cause}."
    return (failed if share > 0.5 else warned)(said, share, way_out=way_out)


def _cause(gone: Sequence[TrialRow], trained: Sequence[TrialRow], share: float) -> tuple[str, str]:
    rates, others = _rates(gone), _rates(trained)
    # So few trials cannot be told apart at this level where every one of the diverged has a higher rate than any other.
    apart = bool(rates) and bool(others) and min(rates) > max(others)
    if apart or chance_of_higher(rates, others) < CHANCE:
        return (
            f"the space reaches into useless regions; their learning rates, from {format_number(min(rates))} on, are "
            "higher than those of the others"
        ), "A lower highest learning rate would save their time."
    if sum(any(sign.code is Code.INPUTS_NOT_SCALED for sign in trial.signs) for trial in gone) > len(gone) / 2:
        return "their inputs are not scaled", 'Take `data.scaling = "standard"`.'
    if share > 0.9:
        return (
            "nearly all, whatever their configuration, so that the data is to blame",
            "Look for values that are not finite or enormous, and for a target that is not scaled.",
        )
    return "the space reaches into useless regions", "Their configurations stand in trials.csv, column ended."


def _rates(trials: Sequence[TrialRow]) -> list[float]:
    """Searched learning rates."""
    return [
        float(value)
        for trial in trials
        for name, value in trial.params.items()
        if name.endswith(".learning_rate") and not isinstance(value, str)
    ]
