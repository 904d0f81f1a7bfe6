"""Trials whose loss or gradient is not finite."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.text import format_number, format_share

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.trials import TrialRow


def divergences(e: Evidence) -> list[str]:
    diverged = [trial for trial in e.trials if trial.ended.why is Ending.DIVERGED]
    if not diverged or len(diverged) < max(2, 0.2 * e.counts.ended):
        return []
    advice = ": the space reaches into useless regions."
    rates = [rate for trial in diverged if (rate := _learning_rate(trial)) is not None]
    others = [
        rate
        for trial in e.trials
        if trial.state in ("COMPLETE", "PRUNED")
        and trial.ended.why is not Ending.DIVERGED
        and (rate := _learning_rate(trial)) is not None
    ]
    if rates and others and statistics.median(rates) > statistics.median(others):
        advice = (
            ": the space reaches into useless regions. Their learning rates, from "
            f"{format_number(min(rates))} on, are higher than those of the others; a lower highest learning rate would "
            "save their time."
        )
    part = format_share(len(diverged) / e.counts.ended, 0)
    return [f"{len(diverged)} of {e.counts.ended} trials diverged ({part}){advice}"]


def _learning_rate(trial: TrialRow) -> float | None:
    rates = [value for name, value in trial.params.items() if name.endswith(".learning_rate")]
    return float(rates[0]) if rates and not isinstance(rates[0], str) else None
