"""Trials that ended early with a better value than the winner."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.text import format_number

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def better_unfinished(e: Evidence) -> list[str]:
    """Trials that ended early with a better value than the winner: only finished trials can win."""
    if e.winner is None or e.winner.value is None:
        return []
    above = [
        trial
        for trial in e.trials
        if trial.state == "PRUNED"
        and trial.value is not None
        and math.isfinite(trial.value)
        and trial.ended.why is not Ending.DIVERGED
        and e.sign * (trial.value - e.winner.value) > (e.noise.error if e.noise else 0.0)
    ]
    if not above:
        return []
    best = max(above, key=lambda trial: (e.sign * (trial.value or 0.0), -trial.number))
    more = f", as did {len(above) - 1} more," if len(above) > 1 else ""
    return [
        f"Trial {best.number} had reached {format_number(best.value)}, better than the winner{more} when it ended "
        f"({best.ended}): only finished trials can win."
    ]
