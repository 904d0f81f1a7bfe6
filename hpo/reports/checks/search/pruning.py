"""Whether pruning cut trials that could have won."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from hpo.endings import Ending
from hpo.reports.health import CHANCE, Finding, failed, passed, unknown, warned
from hpo.reports.statistics.ordering import chance_of_correlation, correlation, sees_correlation
from hpo.reports.text import format_number, format_share, plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence

VISIBLE = math.sqrt(0.5)
"""Rank correlation of a pruner that sees half of the variance of the final ranks."""
LEADERS = 10


def better_unfinished(e: Evidence) -> Finding:
    """Trials that ended early with a better value than the winner: only finished trials can win."""
    if e.winner is None or e.winner.value is None:
        return unknown("There is no winner.")
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
        return passed("No trial that ended early had a better value than the winner.", 0.0)
    best = max(above, key=lambda trial: (e.sign * (trial.value or 0.0), -trial.number))
    more = f", as did {len(above) - 1} more," if len(above) > 1 else ""
    return warned(
        f"Trial {best.number} had reached {format_number(best.value)}, better than the winner{more} when it ended "
        f"({best.ended}): only finished trials can win.",
        float(len(above)),
        way_out="A larger budget, or a pruner that is more patient, lets such trials finish.",
    )


def pruning(e: Evidence) -> Finding:
    """The pruner replayed over the curves of finished trials, at the epoch where it cut most: whether ranks there tell
    final ranks (Spearman, one-sided), and whether keeping the same share would have cut the winner."""
    cut = Counter(trial.ended.epoch or trial.epochs for trial in e.trials if trial.ended.why is Ending.PRUNED)
    if e.winner is None or e.winner.value is None:
        return unknown("There is no winner.")
    if not cut:
        return unknown("No trial was pruned.")
    if any(trial.ended.paused for trial in e.trials):
        return unknown("Trials pause, and are judged again with every trial that arrives: no cut is final.")
    epoch = min(cut, key=lambda at: (-cut[at], at))
    seen = [
        (curve[epoch - 1], e.sign * trial.value, trial.number)
        for trial in (e.winner, *(other for other in e.best_first if other is not e.winner))
        if trial.value is not None
        and len(curve := e.curves.get(trial.number, ())) > epoch
        and math.isfinite(curve[epoch - 1])
    ]
    found = correlation([early for early, _, _ in seen], [final for _, final, _ in seen]) if seen else 0.0
    chance = chance_of_correlation(found, len(seen))
    said = (
        f"Over {plural(len(seen), 'finished trial')}, the rank at epoch {epoch}, where {cut[epoch]} were cut, has a "
        f"correlation of {format_number(found, 2)} with the final rank"
    )
    if chance < CHANCE:
        return passed(f"{said}: what was cut would have ended low, too.", found)
    if not sees_correlation(len(seen), VISIBLE, CHANCE):
        return unknown(f"{said}: too few to tell whether the pruner cuts by more than chance.")
    # Finished trials at that epoch, and those that were cut there: the share that the pruner kept.
    kept = len(seen) / (len(seen) + cut[epoch])
    ahead = sorted(seen, key=lambda one: -one[0])[: max(1, round(kept * len(seen)))]
    survivors = {number for _, _, number in ahead}
    lost = sum(number not in survivors for _, _, number in seen[:LEADERS])
    gone = e.winner.number not in survivors
    return (failed if gone else warned)(
        f"{said}, no more than chance: of finished trials alone, a pruner that keeps {format_share(kept, 0)} would "
        f"have cut {'the winner and ' if gone else ''}{lost} of the {min(LEADERS, len(seen))} best.",
        found,
        way_out='Let the pruner wait longer, or take `search.pruner = "none"`.',
    )
