"""Inputs of very different spreads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.health import Finding, passed, unknown, warned
from hpo.reports.text import plural
from hpo.signs import Code

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def unscaled_data(e: Evidence) -> Finding:
    """Trials whose training showed the sign of inputs that are not scaled. Scaling that the winner has is no finding:
    the search has then chosen it."""
    if e.function is not None:
        return unknown("The study trains by a function of your own, whose inputs are not seen.")
    found = [trial for trial in e.trials if any(sign.code is Code.INPUTS_NOT_SCALED for sign in trial.signs)]
    begun = [trial for trial in e.trials if trial.epochs]
    share = len(found) / len(begun) if begun else 0.0
    if not found:
        return passed("No trial shows a sign of inputs that are not scaled.", 0.0)
    if e.winner is not None and e.winner not in found:
        return passed(f"{plural(len(found), 'trial')} had inputs that are not scaled, but not the winner.", share)
    sign = next(sign for sign in found[0].signs if sign.code is Code.INPUTS_NOT_SCALED)
    return warned(
        f"In {plural(len(found), 'trial')} of {len(begun)} {sign}: large columns drown the others.",
        share,
        way_out='Take `data.scaling = "standard"`.',
    )
