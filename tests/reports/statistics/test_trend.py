"""Our test of a trend is scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kendalltau

from hpo.reports.statistics.trend import chance_of_rise


@pytest.mark.parametrize("size", [3, 4, 5, 12, 33, 34, 60])
@pytest.mark.parametrize("digits", [0, 1, 6])
def test_chance_of_rise(size: int, digits: int) -> None:
    random = np.random.default_rng(size)
    for slope in (-3.0, 0.0, 0.5, 3.0, 1000.0):
        values = (random.normal(size=size) + slope * np.arange(size) / size).round(digits).tolist()
        if min(values) < max(values):
            expected = kendalltau(range(size), values, alternative="greater").pvalue
            assert chance_of_rise(values) == pytest.approx(expected, rel=1e-9, abs=1e-12)
