"""Mean and standard deviation of columns that are read in portions, equal to those of all rows at once up to rounding.

Dimensions: M numbers of a column, C columns.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import FloatArray


def mean_and_spread_of(portions_MC: Iterable[FloatArray]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """As `scaling.mean_and_spread`: of each column's present values; (0, 1) without any, spread 1 if constant."""
    count_C = mean_C = squares_C = np.zeros(1)
    low_C, high_C = np.full(1, np.inf), np.full(1, -np.inf)
    for portion_MC in portions_MC:
        values_MC = portion_MC.astype(np.float64)
        present_MC = ~np.isnan(values_MC)
        low_C = np.minimum(low_C, np.where(present_MC, values_MC, np.inf).min(axis=0, initial=np.inf))
        high_C = np.maximum(high_C, np.where(present_MC, values_MC, -np.inf).max(axis=0, initial=-np.inf))
        counts_C = present_MC.sum(axis=0)
        values_MC[~present_MC] = 0.0
        means_C = values_MC.sum(axis=0) / np.maximum(counts_C, 1)
        values_MC -= means_C
        values_MC[~present_MC] = 0.0
        # The means and squares of two sets of numbers, joined (Chan, Golub and LeVeque 1983).
        total_C = count_C + counts_C
        weight_C = counts_C / np.maximum(total_C, 1)
        apart_C = means_C - mean_C
        squares_C = squares_C + np.square(values_MC).sum(axis=0) + np.square(apart_C) * count_C * weight_C
        mean_C = mean_C + apart_C * weight_C
        count_C = total_C
    constant_C = low_C >= high_C  # as without values; rounding errors must give a constant column no spread
    spread_C = np.where(constant_C, 0.0, np.sqrt(squares_C / np.maximum(count_C, 1)))
    middle_C = np.where(constant_C, np.where(np.isfinite(low_C), low_C, 0.0), mean_C)
    return middle_C, np.where(spread_C > 0, spread_C, 1.0)
