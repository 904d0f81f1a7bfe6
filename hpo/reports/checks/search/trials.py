"""Whether the search had enough trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.health import Finding, passed, unknown, warned
from hpo.reports.text import plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence

FEW_FINISHED = 20
"""Finished trials below which a ranking is weak evidence; trials that paused at a rung, where the best go on, count."""
LATE = 0.9
"""A best value counts as late if its trial comes after this share of the trials."""


def few_trials(e: Evidence) -> Finding:
    """Of n random trials, the best is among the best 1/n of all configurations on average; with 20, the chance that one
    of them is among the best 14 % is 95 %."""
    finished = e.counts.finished
    paused = sum(trial.ended.paused for trial in e.trials)
    compared = finished + paused
    if e.winner is None:
        return unknown("There is no winner.")
    if e.grid:
        return unknown("The trials are the points of a grid.")
    said = f"{plural(finished, 'trial')} finished"
    if paused:
        said = f"{plural(compared, 'trial')} were compared at the first rung, and {finished} of them finished"
    if compared >= FEW_FINISHED:
        return passed(f"{said}.", float(compared))
    return warned(f"Only {said}: the ranking may change with more trials.", float(compared), way_out=_way_out(e))


def found_late(e: Evidence) -> Finding:
    """A best value among the last tenth of the trials, better than all before by more than a standard error. Where all
    trials are draws alike, that is so in less than a tenth of studies."""
    if e.winner is None or e.winner.score is None:
        return unknown("There is no winner.")
    if e.grid:
        return unknown("The trials are the points of a grid.")
    if len(e.best_first) < FEW_FINISHED:
        return unknown(f"Fewer than {FEW_FINISHED} trials finished.")
    begun = e.trials[-1].number + 1
    place = (e.winner.number + 1) / begun
    earlier = [t.score for t in e.best_first if t.score is not None and t.number < LATE * begun]
    gain = e.sign * e.winner.score - max((e.sign * score for score in earlier), default=float("inf"))
    if e.winner.number < LATE * begun or gain <= (e.noise.error if e.noise else 0.0):
        return passed(f"The winner was there with trial {e.winner.number} of {begun}.", place)
    return warned(
        f"The winner came late (trial {e.winner.number} of {begun}): the search had not levelled off, and more "
        "trials may do better.",
        place,
        way_out=_way_out(e),
    )


def _way_out(e: Evidence) -> str:
    return f"{e.way_to_more_trials[0].upper()}{e.way_to_more_trials[1:]}." if e.way_to_more_trials else ""
