"""Three moving averages of a curve, as pure functions. The report's page has the same functions in JavaScript.

A missing point (NaN) stays missing and is left out of all averages.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def cumulative(values: Sequence[float]) -> list[float]:
    """Mean of everything so far: CA[k+1] = (x[k+1] + k*CA[k]) / (k+1)."""
    averages: list[float] = []
    average, count = 0.0, 0
    for value in values:
        if math.isnan(value):
            averages.append(math.nan)
            continue
        average = (value + count * average) / (count + 1)
        count += 1
        averages.append(average)
    return averages


def simple(values: Sequence[float], k: int) -> list[float]:
    """Mean of the last `k` points; at the start, of those there are."""
    if k < 1:
        raise ValueError(f"`k >= 1` must hold for a simple moving average, but got k={k}.")
    averages: list[float] = []
    for end, value in enumerate(values, start=1):
        window = [x for x in values[max(0, end - k) : end] if not math.isnan(x)]
        averages.append(math.nan if math.isnan(value) else math.fsum(window) / len(window))
    return averages


def exponential(values: Sequence[float], a: float) -> list[float]:
    """s[t] = a*x[t] + (1-a)*s[t-1], starting from s[0] = x[0]; `a = 1` is the raw curve. In reports and study files,
    smoothing is 1 - a."""
    if not 0.0 < a <= 1.0:
        raise ValueError(f"`0 < a <= 1` must hold for an exponential moving average, but got a={a}.")
    averages: list[float] = []
    average: float | None = None
    for value in values:
        if math.isnan(value):
            averages.append(math.nan)
            continue
        average = value if average is None else a * value + (1.0 - a) * average
        averages.append(average)
    return averages
