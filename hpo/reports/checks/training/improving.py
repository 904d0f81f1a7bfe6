"""Whether the winner still improved when its training ended."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.health import Finding, passed, unknown, warned
from hpo.reports.statistics.trend import chance_of_rise

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def still_improving(e: Evidence) -> Finding:
    """A finding where the winner's curve rises at its end, by more in its last quarter than the standard error of its
    value, and early stopping did not end it."""
    if e.winner is None:
        return unknown("There is no winner.")
    curve, epochs = e.winner_curve, e.winner.epochs
    if len(curve) < 4:
        return unknown(f"The winner has {len(curve)} epochs: four at least tell a trend from chance.")
    chance = trend(curve)
    small = e.noise is not None and recent_gain(curve) <= e.noise.error
    if not rises(curve) or small or e.winner.ended.why is Ending.STOPPED_EARLY:
        return passed(f"The winner gained nothing to speak of in its last epochs, up to {epochs}.", chance)
    if e.winner.ended.why is Ending.BUDGET:
        return warned(
            f"The winner was still improving when {e.winner.ended}.",
            chance,
            way_out="A larger budget may do better.",
        )
    return warned(
        f"The winner was still improving at its last epoch ({epochs}).",
        chance,
        way_out=f"{e.way_to_more_epochs[0].upper()}{e.way_to_more_epochs[1:]}."
        if not e.way_to_more_epochs.startswith("`")
        else f"{e.way_to_more_epochs}.",
    )


def rises(curve: tuple[float, ...]) -> bool:
    """Whether a curve, of which more is better, still rises at its end: its best value lies in its last quarter, and
    its second half has a significant upward trend (Kendall's rank test, 5 %)."""
    last_quarter = curve[-max(1, len(curve) // 4) :]
    if len(curve) < 4 or max(last_quarter) <= max(curve[: len(curve) - len(last_quarter)]):
        return False
    return trend(curve) < RISES


def recent_gain(curve: tuple[float, ...]) -> float:
    """Mean of the last quarter over that of the quarter before it."""
    size = max(1, len(curve) // 4)
    return fmean(curve[-size:]) - fmean(curve[-2 * size : -size])


def trend(curve: tuple[float, ...]) -> float:
    """p value of a rise in the second half of a curve, of four epochs at least."""
    recent = curve[-max(4, len(curve) // 2) :]
    return 1.0 if min(recent) == max(recent) else chance_of_rise(recent)


RISES = 0.05
"""Level of the trend's test. That the best value is a late one, too, makes a finding by chance rarer."""
