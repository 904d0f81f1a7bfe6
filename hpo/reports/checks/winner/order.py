"""Whether the best trials can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.health import Finding, passed, unknown, warned
from hpo.reports.text import format_number

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def order_is_chance(e: Evidence) -> Finding:
    """Finished trials within one standard error of the best, the rule of one standard error of Breiman et al. 1984;
    without a standard error, those with the very same value."""
    if e.winner is None or e.winner.score is None:
        return unknown("There is no winner.")
    if len(e.best_first) < 2:
        return unknown("Only one trial finished.")
    best = e.winner.score
    scores = [trial.score for trial in e.best_first if trial.score is not None]
    near = sum(e.sign * (best - score) <= e.noise.error for score in scores) if e.noise else 0
    if e.noise and near > 1:
        return warned(
            f"{near} finished trials lie within one standard error ({format_number(e.noise.error, 2)}, from "
            f"{e.noise.source}) of the best: their order is mostly chance.",
            float(near),
            way_out="More repeats (`data.repeats`) or more examples would tell them apart."
            if e.parts.folds > 1
            else "Folds (`data.folds`), which measure each trial on more examples, would tell them apart.",
        )
    tied = [trial.number for trial in e.best_first if (trial.score, trial.value) == (best, e.winner.value)]
    if len(tied) > 1 and e.best_first[0].number in tied:
        first = min(tied) == e.winner.number
        who = "the earliest of them" if first else f"trial {e.winner.number}, whose test score is known,"
        return warned(
            f"{len(tied)} finished trials share the best value; {who} is called the winner.",
            float(len(tied)),
            way_out="Any of them will do: take the cheapest.",
        )
    if e.noise is None:
        return unknown("The noise of the values is not known.", way_out="Set `data.repeats` or `data.folds`.")
    return passed("No other trial lies within one standard error of the best.", 1.0)
