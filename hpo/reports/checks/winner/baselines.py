"""The winner beside simple models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.baselines import name_of
from hpo.reports.health import Finding, failed, passed, unknown, warned
from hpo.reports.text import format_number, label

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence

ELABORATE = ("boosting",)
"""Baselines that a winner may well be worse than; all others are simple."""


def baseline(e: Evidence) -> Finding:
    """A winner that is no better than a simple model has learnt nothing that is worth its cost. One that is better by
    less than a standard error may be so by chance."""
    if e.winner is None or e.winner.value is None:
        return unknown("There is no winner.")
    scores = {
        name_of(one): value
        for one in e.baselines
        if one.name not in ELABORATE and (value := one.validation.get(e.objective)) is not None
    }
    if not scores:
        return unknown("No simple model was scored.", way_out="Set `study.baselines`.")
    name = max(scores, key=lambda one: e.sign * scores[one])
    gain = e.sign * (e.winner.value - scores[name])
    said = (
        f"its validation {label(e.objective)} is {format_number(e.winner.value)}, that of the baseline {name} "
        f"{format_number(scores[name])}."
    )
    if gain <= 0:
        return failed(
            f"The winner does not beat a simple model: {said}",
            gain,
            way_out="Take that model, or look for what keeps the trials from learning: their learning rates, their "
            "number of epochs, the scaling of the data.",
        )
    if e.noise is not None and gain <= e.noise.error:
        return warned(
            f"The winner beats a simple model by less than one standard error: {said}",
            gain,
            way_out="Where both do, the simple model is cheaper.",
        )
    return passed(f"The winner beats the simple models: {said}", gain)
