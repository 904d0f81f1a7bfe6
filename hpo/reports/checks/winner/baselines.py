"""The winner beside simple models."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.reports.baselines import name_of
from hpo.reports.text import format_number, label

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence

ELABORATE = ("boosting",)
"""Baselines that a winner may well be worse than; all others are simple."""


def behind_simple(e: Evidence) -> list[str]:
    """A winner that is no better than a simple model has learnt nothing that is worth its cost."""
    if e.winner is None or e.winner.value is None:
        return []
    scores = {
        name_of(one): value
        for one in e.baselines
        if one.name not in ELABORATE and (value := one.validation.get(e.objective)) is not None
    }
    if not scores:
        return []
    name = max(scores, key=lambda one: e.sign * scores[one])
    if e.sign * (e.winner.value - scores[name]) > 0:
        return []
    return [
        f"The winner does not beat a simple model: its validation {label(e.objective)} is "
        f"{format_number(e.winner.value)}, that of the baseline {name} {format_number(scores[name])}. Take that model, "
        "or look for what keeps the trials from learning: their learning rates, their number of epochs, the scaling of "
        "the data."
    ]
