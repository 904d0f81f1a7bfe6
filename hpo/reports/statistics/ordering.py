"""Whether two groups, or two rankings, belong together: Wilcoxon's rank sum and Spearman's correlation. Pure functions.
`scipy.stats` has both and takes a second to import."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hpo.reports.health import SURE
from hpo.reports.statistics.effects import ranks


def chance_of_higher(first: Sequence[float], second: Sequence[float]) -> float:
    """Probability that chance alone makes the values of the first group so much higher than those of the second
    (Wilcoxon's rank sum, normal approximation with correction for ties and continuity)."""
    count, others = len(first), len(second)
    if not count or not others:
        return 1.0
    placed = ranks([*first, *second])
    whole = count + others
    sizes = np.unique(placed, return_counts=True)[1].astype(float)
    ties = float((sizes**3 - sizes).sum()) / (whole * (whole - 1)) if whole > 1 else 0.0
    deviation = math.sqrt(count * others / 12.0 * (whole + 1 - ties))
    excess = float(placed[:count].sum()) - count * (whole + 1) / 2.0 - 0.5
    return 1.0 if deviation == 0.0 else math.erfc(excess / deviation / math.sqrt(2.0)) / 2.0


def correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's rank correlation; 0 where all of a side are alike."""
    a, b = ranks(first), ranks(second)
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def chance_of_correlation(value: float, count: int) -> float:
    """Probability of a rank correlation as high by chance, one-sided (Student's approximation)."""
    from scipy.special import stdtr

    if count < 4:
        return 1.0
    if abs(value) >= 1.0:
        return 0.0 if value > 0 else 1.0
    return float(stdtr(count - 2, -value * math.sqrt((count - 2) / (1.0 - value * value))))


def sees_correlation(count: int, value: float, level: float) -> bool:
    """Whether a one-sided test at this level finds such a correlation with probability `SURE` (Fisher's z)."""
    from scipy.special import ndtri

    return count > 3 and math.atanh(value) * math.sqrt(count - 3) >= float(ndtri(1.0 - level) + ndtri(SURE))
