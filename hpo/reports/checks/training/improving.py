"""Whether the winner still improved when its training ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.statistics.trend import chance_of_rise

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def still_improving(e: Evidence) -> list[str]:
    if e.winner is None or not rises(e.winner_curve):
        return []
    epochs = e.winner.epochs
    if e.winner.ended.why is Ending.FINISHED:
        return [f"The winner was still improving at its last epoch ({epochs}): {e.way_to_more_epochs}."]
    if e.winner.ended.why is Ending.BUDGET:
        return [f"The winner was still improving when {e.winner.ended}: a larger budget may do better."]
    return []


def rises(curve: tuple[float, ...]) -> bool:
    """Whether a curve, of which more is better, still rises at its end: its best value lies in its last quarter, and
    its second half has a significant upward trend (Kendall's rank test, 5 %)."""
    recent = curve[-max(4, len(curve) // 2) :]
    if len(recent) < 4 or min(recent) == max(recent):
        return False
    last_quarter = curve[-max(1, len(curve) // 4) :]
    if max(last_quarter) <= max(curve[: len(curve) - len(last_quarter)]):
        return False
    return chance_of_rise(recent) < 0.05
