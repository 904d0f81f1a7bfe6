"""Simple models beside the winner: the table of a report, and the caution where the winner does not beat them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpo.reports.text import format_number, label

if TYPE_CHECKING:
    from hpo.registry.baselines import Baseline
    from hpo.reports.evidence import Evidence

NAMES: dict[str, str] = {
    "majority": "majority class",
    "mean": "mean",
    "median": "median",
    "logistic": "logistic regression",
    "ridge": "linear regression (ridge)",
    "tfidf_logistic": "logistic regression on TF-IDF",
    "tfidf_ridge": "linear regression (ridge) on TF-IDF",
    "boosting": "gradient boosting",
}
"""Name of a baseline -> its name for people."""
ELABORATE = ("boosting",)
"""Baselines that a winner may well be worse than; all others are simple."""


def name_of(baseline: Baseline) -> str:
    return NAMES.get(baseline.name, baseline.name)


def baseline_rows(
    baselines: Sequence[Baseline], objective: str, winner: tuple[str, float | None, Mapping[str, Any]] | None
) -> list[tuple[str, str, str, str]]:
    """(name, validation score, test score, remark) of the winner, given by its name, value and test scores, and of each
    baseline. Without baselines no rows."""
    if not baselines:
        return []
    found = []
    if winner is not None:
        name, value, test = winner
        found.append((name, format_number(value), format_number(test.get(objective)), ""))
    for one in baselines:
        validated, tested = (format_number(part.get(objective)) for part in (one.validation, one.test))
        found.append((name_of(one), validated, tested, one.note))
    return found


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
