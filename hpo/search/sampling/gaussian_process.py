"""Gaussian process regression: the prediction of noisy values by similar points, and how sure it is.

The covariance of two points is the Matérn 5/2 kernel with one length for each parameter (Rasmussen and Williams 2006,
chapters 2 and 5). Lengths, variance and noise are the most probable ones under wide priors, found by gradients, so
that a few points do not make the model certain. No trials here.

Shapes: n observed points, m other points, f features; a categorical parameter has several features and one length.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, solve_triangular
from scipy.optimize import minimize

from hpo.search.sampling.parzen import Floats

LENGTH, LENGTH_SPREAD = math.log(0.7), 1.0
"""Prior of a length's logarithm, where parameters span 1: mean and standard deviation."""
VARIANCE, VARIANCE_SPREAD = 0.0, 0.7
"""Prior of the variance's logarithm, where values have the variance 1."""
NOISE, NOISE_SPREAD = math.log(0.1), 1.0
"""Prior of the logarithm of the noise's variance."""
STEPS = 30
"""Most steps of the search for lengths, variance and noise."""
JITTER = 1e-6
"""Added to the noise, so that equal points do not make the covariance singular."""


class GaussianProcess:
    """A process that has seen n values; `pretend` adds points whose value is not known yet."""

    def __init__(self, points: Floats, values: Floats, owner: NDArray[np.intp], fitted: NDArray[np.intp]) -> None:
        """`points`: [n, f]; `values`: [n], of mean 0 and variance 1. `owner`: [f], the parameter of each feature.
        `fitted`: indices of the points by which lengths, variance and noise are found, as that takes the cube of their
        number."""
        self.points = points
        lengths, self.variance, self.noise = _most_probable(points[fitted], values[fitted], owner)
        self.scale = 1 / lengths[owner]
        covariance = self._kernel(points, points)
        covariance[np.diag_indices(len(points))] += self.noise + JITTER
        self.root = np.linalg.cholesky(covariance)
        self.weights = cho_solve((self.root, True), values)

    def mean(self, points: Floats) -> Floats:
        """Expected values. [m]"""
        found: Floats = self._kernel(points, self.points) @ self.weights
        return found

    def sight(self, points: Floats) -> Sight:
        """What the process knows about some points."""
        return Sight(self, points)

    def whitened(self, points: Floats) -> Floats:
        """The part of the points' values that the observed ones explain, in units of their own. [n, m]"""
        found: Floats = solve_triangular(self.root, self._kernel(self.points, points), lower=True, check_finite=False)
        return found

    def _kernel(self, one: Floats, other: Floats) -> Floats:
        one, other = one * self.scale, other * self.scale
        squares = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
        return self.variance * _matern(np.maximum(squares, 0.0))


class Sight:
    """Expected values of m points and their variances, while further points are pretended to be observed at their
    expected values: that changes no expected value, and makes the process surer around them."""

    def __init__(self, process: GaussianProcess, points: Floats) -> None:
        self.process = process
        self.points = points
        self.mean = process.mean(points)
        self.explained = process.whitened(points)
        self.variances = process.variance - (self.explained**2).sum(0)
        self._pretended: list[tuple[Floats, Floats, float]] = []
        """Of each pretended point: the point [1, f], what explains it, and the deviation that is left."""

    def pretend(self, point: Floats) -> None:
        """Takes a point [f] as observed from now on."""
        process, at = self.process, point[None]
        explained = process.whitened(at)[:, 0]
        for other, known, left in self._pretended:
            rest = (process._kernel(other, at)[0, 0] - known @ explained) / left
            explained = np.append(explained, rest)
        variance = float(process.variance + process.noise + JITTER - explained @ explained)
        left = math.sqrt(max(variance, JITTER))
        rest_of_all = (process._kernel(at, self.points)[0] - explained @ self.explained) / left
        self.explained = np.vstack((self.explained, rest_of_all))
        self.variances = self.variances - rest_of_all**2
        self._pretended.append((at, explained, left))

    def deviations(self) -> Floats:
        """Standard deviations of the true values, without noise. [m]"""
        found: Floats = np.sqrt(np.maximum(self.variances, 1e-9))
        return found


def _matern(squares: Floats) -> Floats:
    """Matérn 5/2 of squared distances."""
    distance = np.sqrt(5.0 * squares)
    found: Floats = (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return found


def _most_probable(points: Floats, values: Floats, owner: NDArray[np.intp]) -> tuple[Floats, float, float]:
    """Lengths of the parameters, variance and noise."""
    count, parameters = len(points), int(owner.max()) + 1
    squares = np.zeros((parameters, count, count))
    for feature, parameter in enumerate(owner):
        squares[parameter] += (points[:, feature, None] - points[None, :, feature]) ** 2
    flat = squares.reshape(parameters, -1)
    prior = np.array([LENGTH] * parameters + [VARIANCE, NOISE])
    spread = np.array([LENGTH_SPREAD] * parameters + [VARIANCE_SPREAD, NOISE_SPREAD])
    one = np.eye(count)

    def cost(theta: Floats) -> tuple[float, Floats]:
        """Negative logarithm of the probability, but for a constant, and its gradient."""
        inverse = np.exp(-2.0 * theta[:parameters])
        variance, noise = np.exp(theta[parameters:])
        distance = np.sqrt(5.0 * (inverse @ flat).reshape(count, count))
        decay = np.exp(-distance)
        kernel = variance * (1.0 + distance + distance**2 / 3.0) * decay
        root = np.linalg.cholesky(kernel + (noise + JITTER) * one)
        inverted = cho_solve((root, True), one, check_finite=False)
        weights = inverted @ values
        off = (theta - prior) / spread
        outer = inverted - np.outer(weights, weights)
        by_square = (outer * (-5.0 / 6.0 * variance * (1.0 + distance) * decay)).ravel()
        gradient = np.empty_like(theta)
        gradient[:parameters] = -inverse * (flat @ by_square)
        gradient[parameters] = 0.5 * (outer * kernel).sum()
        gradient[parameters + 1] = 0.5 * noise * np.trace(outer)
        total = 0.5 * values @ weights + np.log(np.diag(root)).sum() + 0.5 * off @ off
        return float(total), gradient + off / spread

    bounds = [(-3.0, 3.0)] * (parameters + 1) + [(-7.0, 1.0)]
    found = minimize(cost, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}).x
    return np.exp(found[:parameters]), float(np.exp(found[-2])), float(np.exp(found[-1]))
