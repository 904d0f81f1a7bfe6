"""Whether the winner does more than name the most frequent class."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo.reports.health import CHANCE, Finding, failed, passed, unknown
from hpo.reports.text import format_number, format_share

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def imbalance(e: Evidence) -> Finding:
    """The winner's accuracy against the share of the most frequent class (binomial, one-sided, for the best of all
    finished trials)."""
    from scipy.special import ndtri

    sizes = e.parts.validation
    if e.task == "regression" or not sizes or len(sizes) < 2:
        return unknown("There are no classes whose shares are known.")
    if e.winner is None or (accuracy := e.winner_metrics.get("accuracy")) is None:
        return unknown("The winner's validation accuracy is not known.")
    examples = sum(sizes)
    share = max(sizes) / examples
    error = math.sqrt(share * (1.0 - share) / examples)
    limit = float(ndtri(1.0 - CHANCE / max(1, e.counts.finished))) * error
    said = (
        f"The winner's validation accuracy is {format_number(accuracy)}, and the most frequent class is "
        f"{format_share(share)} of the examples"
    )
    if accuracy - share > limit:
        return passed(f"{said}: it is better than naming that class.", accuracy - share)
    if e.objective in FAIR:
        return passed(f"{said}, but {e.objective} counts all classes alike.", accuracy - share)
    return failed(
        f"{said}: the best of {e.counts.finished} trials that only name that class may be as good.",
        accuracy - share,
        way_out='Take `study.objective = "balanced_accuracy"`, `"macro_f1"` or `"auroc"`, and `training.class_weight`.',
    )


FAIR = frozenset({"balanced_accuracy", "macro_f1", "f1", "auroc", "average_precision", "min_recall"})
"""Objectives by which naming the most frequent class gains nothing."""
