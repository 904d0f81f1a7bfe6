"""Simple models beside the winner: the table of a report. `checks.winner.baselines` compares the winner with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hpo.reports.text import format_number

if TYPE_CHECKING:
    from hpo.registry.baselines import Baseline

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


def baseline_sentence(one: Baseline, objective: str) -> str:
    """`majority class: validation accuracy 0.1, test accuracy 0.1`"""
    parts = (("validation", one.validation), ("test", one.test))
    scores = [f"{part} {objective} {format_number(scores[objective])}" for part, scores in parts if objective in scores]
    return f"{name_of(one)}: {', '.join(filter(None, (*scores, one.note)))}"
