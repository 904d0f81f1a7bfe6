"""A feature that alone predicts as well as the winner."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from hpo.reports.health import CHANCE, Finding, passed, unknown, warned
from hpo.reports.statistics.noise import accuracy_error
from hpo.reports.text import format_number, label

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence


def leak(e: Evidence) -> Finding:
    """Compares the best prediction from one feature with the winner, in the same metric, by their standard errors."""
    from scipy.special import ndtri

    alone = e.lone_feature
    if alone is None:
        return unknown("What single features predict is not known: the data is no table of several columns in memory.")
    score = e.winner_metrics.get(alone.metric)
    if score is None:
        return unknown(f"The winner's {label(alone.metric)} on the validation part is not known.")
    metric, gain = label(alone.metric), score - alone.constant
    error = math.hypot(_error(alone.metric, score, alone.examples), _error(alone.metric, alone.score, alone.examples))
    limit = float(ndtri(1.0 - CHANCE)) * error
    if limit > gain / 2.0:
        return unknown(
            f"On {alone.examples:,} validation examples, a winner that gains {format_number(gain, 2)} of {metric} over "
            "a constant prediction cannot be told from half of that gain."
        )
    figure = (alone.score - alone.constant) / gain
    said = (
        f"The feature `{alone.name}` alone has a validation {metric} of {format_number(alone.score)}, the winner "
        f"{format_number(score)}"
    )
    if score - alone.score > limit:
        return passed(f"{said}: no single feature predicts as well.", figure)
    return warned(
        f"{said}, from all {alone.features}: it may hold what is known only after the fact.",
        figure,
        way_out='If it is not known when the model is to predict, call the column "ignored" in `data.columns`.',
    )


def _error(metric: str, score: float, examples: int) -> float:
    """Standard error of an accuracy, or of an R² (Olkin and Finn 1995)."""
    inside = min(1.0, max(0.0, score))
    if metric == "accuracy":
        return accuracy_error(inside, examples)
    return 2.0 * math.sqrt(inside) * (1.0 - inside) / math.sqrt(examples)
