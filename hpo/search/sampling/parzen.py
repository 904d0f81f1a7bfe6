"""Parzen estimators: densities over parameters, fitted to observed points, their values and samples. No trials here.

A density is a mixture of kernels, one around each observed point and a wide one, the prior, over the whole space. A
kernel is a product over the parameters: a truncated normal for a number, its mass over a step for a number with
steps, a smoothed count for a category. Bandwidths, prior and smoothing are those of Optuna's multivariate TPE
(Falkner et al. 2018, section 4); `tests/search/test_parzen.py` compares the values. It costs less than Optuna's: all
computations are on whole arrays, and one estimator serves any number of draws.

Shapes: m points, k kernels, d parameters, c numbers, e categories. A point holds Optuna's internal representations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from scipy.special import ndtr, ndtri

Floats = NDArray[np.float64]

FINEST = 100.0
"""The narrowest kernel's bandwidth is the range divided by this (or by the number of kernels + 1, if that is less)."""
PRIOR_WEIGHT = 1.0
"""The prior's weight; a recent observation has 1 as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """A numeric parameter, scaled to the interval from -1/2 to 1/2."""

    column: int
    """Its index in a point."""
    low: float
    high: float
    log: bool
    step: float | None
    start: float
    """Lower end of the scale: `low` less half a step, its logarithm if `log`."""
    width: float
    """Length of the scale, likewise."""

    def scaled(self, values: Floats) -> Floats:
        """The values on the scale."""
        found: Floats = ((np.log(values) if self.log else values) - self.start) / self.width - 0.5
        return found

    def value(self, scaled: Floats) -> Floats:
        """The values at positions on the scale, rounded to the nearest step."""
        values = self.start + (scaled + 0.5) * self.width
        if self.log:
            values = np.exp(values)
        if self.step is not None:
            values = self.low + np.round((values - self.low) / self.step) * self.step
        return np.clip(values, self.low, self.high)


def _axis(column: int, distribution: FloatDistribution | IntDistribution) -> Axis:
    low, high, step = float(distribution.low), float(distribution.high), distribution.step
    half = 0.0 if step is None else step / 2
    start, end = low - half, high + half
    if distribution.log:
        start, end = math.log(start), math.log(end)
    return Axis(
        column=column,
        low=low,
        high=high,
        log=distribution.log,
        step=None if step is None else float(step),
        start=start,
        width=end - start,
    )


class Domain:
    """The parameters of a density, in the order of a point's columns."""

    def __init__(self, space: Mapping[str, BaseDistribution]) -> None:
        self.names = tuple(space)
        numbers = [(i, d) for i, d in enumerate(space.values()) if isinstance(d, FloatDistribution | IntDistribution)]
        self.smooth = [_axis(i, d) for i, d in numbers if d.step is None]
        self.stepped = [_axis(i, d) for i, d in numbers if d.step is not None]
        self.axes = [*self.smooth, *self.stepped]
        self.categories = [
            (i, len(d.choices)) for i, d in enumerate(space.values()) if isinstance(d, CategoricalDistribution)
        ]

    def scaled(self, points: Floats) -> Floats:
        """The numbers of points on their scales, [m, c]."""
        found = np.empty((len(points), len(self.axes)))
        for place, axis in enumerate(self.axes):
            found[:, place] = axis.scaled(points[:, axis.column])
        return found


@dataclass(kw_only=True, slots=True)
class Kernels:
    """A sum of weighted kernels; divided by the sum of the weights it is a density."""

    domain: Domain
    weights: Floats
    """[k]"""
    centres: Floats
    """Of the numbers, scaled, [k, c]."""
    widths: Floats
    """Bandwidths of the numbers, scaled, [k, c]."""
    chances: list[Floats]
    """For each category the probabilities of its choices, [k, choices]."""
    below: Floats = field(init=False)
    """Mass of each normal below the scale, [k, c]."""
    inside: Floats = field(init=False)
    """Mass of each normal on the scale, [k, c]."""

    def __post_init__(self) -> None:
        self.below = ndtr((-0.5 - self.centres) / self.widths)
        self.inside = ndtr((0.5 - self.centres) / self.widths) - self.below

    def sums(self, points: Floats) -> Floats:
        """The sum of all kernels at each point, [m]."""
        domain, smooth = self.domain, len(self.domain.smooth)
        factors = self.weights / self.inside.prod(axis=1)
        parts: Floats
        if smooth:
            # The exponent is a quadratic form, so two matrix products give it for all points and kernels.
            x_mc = domain.scaled(points)[:, :smooth]
            centres, widths = self.centres[:, :smooth], self.widths[:, :smooth]
            sharpness = widths**-2.0
            pull = centres * sharpness
            parts = x_mc**2 @ (-0.5 * sharpness).T + x_mc @ pull.T - 0.5 * (centres * pull).sum(axis=1)
            np.exp(parts, out=parts)
            heights = math.sqrt(2 * math.pi) * np.array([axis.width for axis in domain.smooth])
            parts *= factors / (widths * heights).prod(axis=1)
        else:
            parts = np.repeat(factors[None], len(points), axis=0)
        for place, axis in enumerate(domain.stepped, smooth):
            values, where = np.unique(points[:, axis.column], return_inverse=True)
            assert axis.step is not None
            edges = (axis.scaled(values + side * axis.step / 2)[:, None] for side in (-1.0, 1.0))
            left, right = ((edge - self.centres[:, place]) / self.widths[:, place] for edge in edges)
            parts *= _mass(left, right)[where]
        for (column, _), chances in zip(domain.categories, self.chances, strict=True):
            parts *= chances.T[points[:, column].astype(np.intp)]
        found: Floats = parts.sum(axis=1)
        return found

    def sample(self, uniform: Floats) -> Floats:
        """Points drawn from the density with the given uniform numbers, [m, 1 + d] in [0, 1); [m, d]."""
        domain = self.domain
        shares = np.cumsum(self.weights)
        kernel = np.minimum(np.searchsorted(shares, uniform[:, 0] * shares[-1], side="right"), len(shares) - 1)
        points = np.empty((len(uniform), uniform.shape[1] - 1))
        if domain.axes:
            columns = [axis.column for axis in domain.axes]
            quantile = self.below[kernel] + uniform[:, 1:][:, columns] * self.inside[kernel]
            scaled = np.clip(self.centres[kernel] + self.widths[kernel] * ndtri(quantile), -0.5, 0.5)
            for place, axis in enumerate(domain.axes):
                points[:, axis.column] = axis.value(scaled[:, place])
        for (column, choices), chances in zip(domain.categories, self.chances, strict=True):
            passed = np.cumsum(chances[kernel], axis=1) <= uniform[:, 1 + column, None]
            points[:, column] = np.minimum(passed.sum(axis=1), choices - 1)
        return points


def fit(domain: Domain, points: Floats, weights: Floats) -> Kernels:
    """The kernels of observed points [n, d] with their weights [n], and after them the prior's."""
    centres, n = domain.scaled(points), len(points)
    return Kernels(
        domain=domain,
        weights=np.append(weights, PRIOR_WEIGHT),
        centres=np.concatenate((centres, np.zeros((1, centres.shape[1])))),
        widths=np.concatenate((_widths(centres), np.ones((1, centres.shape[1])))),
        chances=[
            np.concatenate((_chances(points[:, column], choices, n), np.full((1, choices), 1.0 / choices)))
            for column, choices in domain.categories
        ],
    )


def beside(kernels: Kernels, points: Floats) -> Kernels:
    """Kernels of weight 1 around further points [n, d], with bandwidths as if these points had been observed, too.

    The kernels of the observed points are not changed, so that further points need no new fit.
    """
    domain, total = kernels.domain, len(kernels.weights) - 1 + len(points)
    centres = domain.scaled(points)
    return Kernels(
        domain=domain,
        weights=np.ones(len(points)),
        centres=centres,
        widths=_widths(np.concatenate((kernels.centres[:-1], centres)))[len(kernels.weights) - 1 :],
        chances=[_chances(points[:, column], choices, total) for column, choices in domain.categories],
    )


def _widths(centres: Floats) -> Floats:
    """Bandwidths: the distance to the farther of the two neighbours, within bounds, [n, c]."""
    n = len(centres)
    if n == 0:
        return np.empty_like(centres)
    order = np.argsort(centres, axis=0)
    ends = np.full((1, centres.shape[1]), 0.5)
    padded = np.concatenate((-ends, np.take_along_axis(centres, order, axis=0), ends))
    gaps = padded[1:] - padded[:-1]
    reach = np.maximum(gaps[:-1], gaps[1:])
    if n > 1:  # the outermost points have one neighbour
        reach[0], reach[-1] = gaps[1], gaps[-2]
    widths = np.empty_like(centres)
    np.put_along_axis(widths, order, np.clip(reach, 1.0 / min(FINEST, n + 2.0), 1.0), axis=0)
    return widths


def _chances(column: Floats, choices: int, n: int) -> Floats:
    """Kernels around the choices in a column, smoothed as for n observed points in all, [len(column), choices]."""
    counts = np.full((len(column), choices), PRIOR_WEIGHT / (n + 1))
    counts[np.arange(len(column)), column.astype(np.intp)] += 1.0
    found: Floats = counts / (1.0 + choices * PRIOR_WEIGHT / (n + 1))
    return found


def _mass(left: Floats, right: Floats) -> Floats:
    """Mass of a standard normal between two positions. Right of 0 it is mirrored, as the tail is exact only on the
    left."""
    mirrored = left > 0
    low, high = np.where(mirrored, -right, left), np.where(mirrored, -left, right)
    found: Floats = ndtr(high) - ndtr(low)
    return found
