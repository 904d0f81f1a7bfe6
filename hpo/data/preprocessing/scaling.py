"""Scaling of numeric features: what is learnt from the training part, and how it is applied.

| `data.scaling` | a number becomes |
| --- | --- |
| standard | its distance from the mean, in standard deviations |
| robust | its distance from the median, in 1/1.349 of the distance between the quartiles, which outliers do not move |
| log | as standard, after sign(x) log(1 + abs(x)) |
| quantile | the normal deviate of its rank |
| none | itself |

The columns of a table are scaled one by one; images and sequences by channel, over all pixels or real steps.

Dimensions: N examples, F numeric features, M numbers of a channel, C columns or channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import Dataset, FloatArray
from hpo.data.parts.strata import IndexArray
from hpo.data.streaming.mapped import portions, release, spread_out
from hpo.data.streaming.moments import mean_and_spread_of
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

KNOTS = 101
"""Quantiles between which ranks are interpolated."""
TAIL = 0.001
"""Share of the numbers beyond the first and the last knot's deviate."""
NORMAL = NormalDist()
RANKED = 10_000_000
"""Numbers of streamed data whose ranks are found, as of rows at equal distances."""
ALIKE = 1e-30
"""Quartiles whose distance is below this share of the standard deviation count as equal."""
QUARTILES = NORMAL.inv_cdf(0.75) - NORMAL.inv_cdf(0.25)
"""Distance between the quartiles of a normal distribution, in standard deviations."""

Knots = tuple[tuple[float, ...], tuple[float, ...]]
"""Ascending numbers and the deviate of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaling:
    """What was learnt, for each numeric feature."""

    fills: tuple[float, ...]
    """Stands where a number is missing; scaled, it is 0 but for `none`."""
    offsets: tuple[float, ...]
    """Subtracted."""
    scales: tuple[float, ...]
    """Divided by."""
    logarithmic: bool = False
    """Whether the logarithm is taken before."""
    knots: tuple[Knots, ...] = ()
    """Of `quantile`; empty: none."""


def fit_scaling(dataset: Dataset, idx: IndexArray, data: DataTable, *, by_channel: bool) -> Scaling:
    """The scaling of the training examples. `by_channel`: images and sequences by channel, else number by number."""
    kind, features = data.scaling, dataset.numeric.shape[1:]
    if kind == "quantile" and dataset.kind != "tabular":
        raise DataError(
            f'data.scaling: "quantile" is for the columns of a table, and {dataset.name} holds {dataset.kind}s. Take '
            '"standard", "robust", "log" or "none".'
        )
    robust = kind in ("robust", "quantile")
    if dataset.streamed and robust:
        idx = spread_out(idx, max(1, RANKED // prod(features)))

    def numbers_of(idx: IndexArray) -> FloatArray:
        numbers_MC = _numbers(dataset, idx, by_channel=by_channel)
        if dataset.streamed:  # of any type
            numbers_MC = numbers_MC.astype(np.float64)
            release(dataset.numeric)
        return logarithm(numbers_MC) if kind == "log" else numbers_MC

    if dataset.streamed and not robust:
        middle_C, spread_C = mean_and_spread_of(numbers_of(idx[part]) for part in portions(len(idx), features))
    else:
        numbers_MC = numbers_of(idx)
        middle_C, spread_C = _medians(numbers_MC) if robust else mean_and_spread(numbers_MC)
    fill_C = np.sign(middle_C) * np.expm1(np.abs(middle_C)) if kind == "log" else middle_C
    plain = kind in ("none", "quantile")
    repeat = prod(features) // max(len(middle_C), 1)

    def each(values_C: NDArray[np.float64]) -> tuple[float, ...]:
        """By feature; an image has its channels first, a sequence last."""
        spread = np.repeat(values_C, repeat) if dataset.kind == "image" else np.tile(values_C, repeat)
        return tuple(spread.tolist())

    return Scaling(
        fills=each(fill_C),
        offsets=each(np.zeros(len(fill_C)) if plain else middle_C),
        scales=each(np.ones(len(fill_C)) if plain else spread_C),
        logarithmic=kind == "log",
        knots=tuple(map(_knots, numbers_MC.T)) if kind == "quantile" else (),
    )


def scaled(scaling: Scaling, filled_NF: FloatArray) -> NDArray[np.float32]:
    """[N, F] the numbers, of which none is missing, in the scale that was learnt. Too large ones become infinite."""
    if scaling.logarithmic:
        filled_NF = logarithm(filled_NF)
    if scaling.knots:
        columns = [np.interp(column_N, *knots) for column_N, knots in zip(filled_NF.T, scaling.knots, strict=True)]
        filled_NF = np.column_stack(columns)
    with np.errstate(over="ignore"):
        found: NDArray[np.float32] = ((filled_NF - np.array(scaling.offsets)) / np.array(scaling.scales)).astype("f4")
    return found


def logarithm(values: FloatArray) -> FloatArray:
    """Growing like the logarithm on both sides of 0."""
    found: FloatArray = np.sign(values) * np.log1p(np.abs(values))
    return found


def mean_and_spread(values_MC: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column's present values; (0, 1) without any, spread 1 if constant."""
    present_MC = ~np.isnan(values_MC)
    counts_C = np.maximum(present_MC.sum(axis=0), 1)
    low_C = np.where(present_MC, values_MC, np.inf).min(axis=0, initial=np.inf)
    low_C = np.where(np.isfinite(low_C), low_C, 0.0).astype(np.float64)
    # Relative to its smallest value, a constant column is exactly 0, so that rounding errors give it no spread.
    above_MC = np.where(present_MC, values_MC - low_C, 0.0)
    means_C = above_MC.sum(axis=0) / counts_C
    deviations_MC = np.where(present_MC, above_MC - means_C, 0.0)
    # In units of a power of two, squares of tiny numbers stay exact; those of others are the same to the last bit.
    _, exponent_C = np.frexp(np.abs(deviations_MC).max(axis=0, initial=0.0))
    squares_MC = np.square(np.ldexp(deviations_MC, -exponent_C))
    spreads_C = np.ldexp(np.sqrt(squares_MC.sum(axis=0) / counts_C), exponent_C)
    return low_C + means_C, np.where(spreads_C > 0, spreads_C, 1.0)


def _medians(values_MC: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Median and scaled distance of the quartiles of each column's present values; where half of them are alike, or so
    near to each other that the rest would be too large for float32, their standard deviation."""
    _, deviations_C = mean_and_spread(values_MC)
    quarters_C3 = np.array([_quarters(column_M) for column_M in values_MC.T], np.float64).reshape(-1, 3)
    spreads_C = (quarters_C3[:, 2] - quarters_C3[:, 0]) / QUARTILES
    return quarters_C3[:, 1], np.where(spreads_C > ALIKE * deviations_C, spreads_C, deviations_C)


def _quarters(column_M: FloatArray) -> NDArray[np.float64]:
    present_M = column_M[~np.isnan(column_M)]
    return np.quantile(present_M, (0.25, 0.5, 0.75)) if len(present_M) else np.zeros(3)


def _numbers(dataset: Dataset, idx: IndexArray, *, by_channel: bool) -> FloatArray:
    """[M, C] the numbers of which each column is scaled alike."""
    numbers = dataset.numeric[idx]
    if dataset.kind == "image" and by_channel:
        return np.moveaxis(numbers, 1, -1).reshape(-1, numbers.shape[1])
    if dataset.kind == "sequence" and by_channel:
        if dataset.lengths_N is not None:
            return numbers[np.arange(numbers.shape[1]) < dataset.lengths_N[idx, None]]
        return numbers.reshape(-1, numbers.shape[2])
    return numbers.reshape(len(numbers), -1)


def _knots(column_M: FloatArray) -> Knots:
    """Quantiles and the deviates of their ranks; equal quantiles are one, of the middle rank."""
    present_M = column_M[~np.isnan(column_M)]
    if not len(present_M):
        return (0.0,), (0.0,)
    ranks = np.linspace(0.0, 1.0, KNOTS)
    numbers, place = np.unique(np.quantile(present_M, ranks), return_inverse=True)
    middle = np.bincount(place, ranks) / np.bincount(place)
    deviates = (NORMAL.inv_cdf(min(max(rank, TAIL), 1 - TAIL)) for rank in middle.tolist())
    return tuple(numbers.tolist()), tuple(deviates)
