"""Luck of the winner: how much of its value is selection, whether one seed made it, and whether seeds make more
difference than configurations."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from hpo.reports.health import CHANCE, Finding, failed, passed, unknown, warned
from hpo.reports.statistics import replicas
from hpo.reports.statistics.replicas import Floats
from hpo.reports.text import format_number, format_share

if TYPE_CHECKING:
    from hpo.conclusions.confirmation import Confirmation
    from hpo.reports.evidence import Evidence

FEWEST = 5
"""Finished trials below which nothing is said of their spread."""


def optimism(e: Evidence) -> Finding:
    """The best of many noisy values is too good. A finding where it is so by more than the standard error that the luck
    of training and of folds gives a value: measured where the winner was confirmed, else estimated."""
    if e.confirmation is not None:
        return _measured(e.confirmation)
    values_NR = _values(e)
    if values_NR is None:
        return _one_model(e)
    error = math.sqrt(replicas.shares(values_NR, CHANCE).luck / values_NR.shape[1])
    if error == 0.0:
        return passed("All replicas of a trial have the same value.", 0.0)
    excess = replicas.optimism(values_NR.mean(1), error)
    said = (
        f"The best of {len(values_NR)} values is {format_number(excess, 2)} better than its configuration would be "
        f"again, by chance; the standard error of a value from folds and repeats is {format_number(error, 2)}"
    )
    if excess <= error:
        return passed(f"{said}.", excess)
    return warned(
        f"{said}: much of its lead is selection.",
        excess,
        way_out="More repeats (`data.repeats`) make values surer; score the leading configurations with new seeds.",
    )


def _measured(found: Confirmation) -> Finding:
    """The winner's value in the search against the mean of its repeats, whose seeds did not choose it."""
    gap = f"{format_number(abs(found.optimism), 2)} {'better' if found.optimism > 0 else 'worse'}"
    said = (
        f"In the search, the winner's value was {gap} than the mean of its {found.repeats} repeats with new seeds; one "
        f"repeat varies by {format_number(found.spread, 2)} (standard deviation)"
    )
    if found.optimism <= found.spread:
        return passed(f"{said}.", found.optimism)
    return warned(
        f"{said}: the search had chosen a lucky value.",
        found.optimism,
        way_out="Tell the mean of the repeats, not the value in the search.",
    )


def lucky_seed(e: Evidence) -> Finding:
    """The spread of the winner's replicas against that of the other trials (F test of variances)."""
    values_NR = _values(e)
    if values_NR is None:
        return _one_model(e)
    chance = replicas.chance_of_spread(values_NR, 0)
    own_R = np.sort(values_NR[0] - values_NR[1:].mean(0))
    if chance >= CHANCE or own_R[-1] - np.median(own_R) < np.median(own_R) - own_R[0]:
        return passed("The winner's folds and repeats spread no more than those of other trials.", chance)
    best = format_number(e.sign * float(values_NR[0].max()))
    middle = format_number(e.sign * float(np.median(values_NR[0])))
    return warned(
        f"One of the winner's {values_NR.shape[1]} models made it win: its value is {best}, their median {middle}, and "
        f"chance spreads models so much in {format_share(chance)} of trials.",
        chance,
        way_out="Train the winner with more seeds (`data.repeats`) before you trust its mean.",
    )


def seeds_decide(e: Evidence) -> Finding:
    """Differences between trials against those between replicas of a trial (two-way analysis of variance). Grave where
    trials differ no more than chance makes them."""
    values_NR = _values(e)
    if values_NR is None:
        return _one_model(e)
    found = replicas.shares(values_NR, CHANCE)
    share = format_share(found.share, 0)
    if found.chance < CHANCE:
        return passed(
            f"Configurations make {share} of the variance of single models, seeds and folds the rest.", found.share
        )
    if not found.sees_half:
        return unknown(
            f"{len(values_NR)} finished trials of {values_NR.shape[1]} models are too few to tell configurations from "
            "seeds."
        )
    return failed(
        f"Seeds decide: trials differ no more than the models of one trial do (configurations make {share} of the "
        "variance).",
        found.share,
        way_out="Raise `data.repeats`, search wider ranges, or take the cheapest configuration.",
    )


def _values(e: Evidence) -> Floats | None:
    """[n, r] Values of the finished trials, the winner's first; None where trials have one model, or few finished."""
    if e.winner is None or e.winner.number not in e.replica_values:
        return None
    numbers = [e.winner.number, *(t.number for t in e.best_first if t is not e.winner and t.number in e.replica_values)]
    return None if len(numbers) < FEWEST else np.array([e.replica_values[number] for number in numbers])


def _one_model(e: Evidence) -> Finding:
    if e.replica_values:
        return unknown(f"Fewer than {FEWEST} trials finished.")
    return unknown(
        "Each trial is one model, or has a split of its own, so that luck and configuration cannot be told apart.",
        way_out="`data.repeats` trains each trial with several seeds.",
    )
