"""Whether the search had enough trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence

FEW_FINISHED = 20
"""Finished trials below which a ranking is weak evidence."""
LATE = 0.9
"""A best value counts as late if its trial comes after this share of the trials."""


def few_trials(e: Evidence) -> list[str]:
    if e.winner is None or e.counts.finished >= FEW_FINISHED or e.grid:
        return []
    way = f" ({e.way_to_more_trials})" if e.way_to_more_trials else ""
    return [f"Only {plural(e.counts.finished, 'trial')} finished: the ranking may change with more trials{way}."]


def found_late(e: Evidence) -> list[str]:
    if e.winner is None or e.winner.value is None or len(e.best_first) < FEW_FINISHED or e.grid:
        return []
    begun = e.trials[-1].number + 1
    earlier = [t.value for t in e.best_first if t.value is not None and t.number < LATE * begun]
    if e.winner.number < LATE * begun or not earlier:
        return []
    gain = e.sign * e.winner.value - max(e.sign * value for value in earlier)
    if gain <= (e.noise.error if e.noise else 0.0):
        return []
    way = f" ({e.way_to_more_trials})" if e.way_to_more_trials else ""
    return [
        f"The best value came late (trial {e.winner.number} of {begun}): "
        f"the search had not levelled off, and more trials may do better{way}."
    ]
