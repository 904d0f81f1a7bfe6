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
ALL = slice(None)
AT_ONCE = 128
"""Points whose covariances are computed at once: they and what they need stay in the processor's cache."""


class GaussianProcess:
    """A process that has seen n values."""

    def __init__(self, points: Floats, values: Floats, owner: NDArray[np.intp], fitted: NDArray[np.intp]) -> None:
        """`points`: [n, f]; `values`: [n], of mean 0 and variance 1. `owner`: [f], the parameter of each feature.
        `fitted`: indices of the points by which lengths, variance and noise are found, as that takes the cube of their
        number."""
        lengths, self.variance, self.noise = _most_probable(points[fitted], values[fitted], owner)
        self.scale = 1 / lengths[owner]
        self._points = points * self.scale
        covariance = self.covariances(points)
        covariance[np.diag_indices(len(points))] += self.noise + JITTER
        self.root = np.linalg.cholesky(covariance)
        self.weights = cho_solve((self.root, True), values)
        self.seen: Floats = values - (self.noise + JITTER) * self.weights
        """Expected values of the observed points themselves. [n]"""

    def covariances(self, points: Floats) -> Floats:
        """Of the values at some points with those that were observed. [m, n]"""
        return self.between(points * self.scale, self._points)

    def mean(self, points: Floats) -> Floats:
        """Expected values. [m]"""
        found: Floats = self.covariances(points) @ self.weights
        return found

    def sight(self, points: Floats) -> Sight:
        """What the process knows about some points."""
        return Sight(self, points)

    def whitened(self, covariances: Floats) -> Floats:
        """The part of some points' values that the observed ones explain, in units of their own, by their covariances
        [m, n], whose memory it may take. [m, n]"""
        right = covariances.T
        found: Floats = solve_triangular(self.root, right, lower=True, overwrite_b=True, check_finite=False).T
        return found

    def between(self, one: Floats, other: Floats) -> Floats:
        """The covariances of the values at scaled points. [len(one), len(other)]"""
        found = np.empty((len(one), len(other)))
        sizes = (other**2).sum(1)[None]
        for begin in range(0, len(one), AT_ONCE):
            part = one[begin : begin + AT_ONCE]
            squares = (part**2).sum(1)[:, None] + sizes - 2 * part @ other.T
            np.multiply(self.variance, _matern(squares), out=found[begin : begin + AT_ONCE])
        return found


class Sight:
    """Expected values of m points and their variances, while further points are pretended to be observed at their
    expected values: that changes no expected value, and makes the process surer around them."""

    def __init__(self, process: GaussianProcess, points: Floats) -> None:
        self.process = process
        covariances = process.covariances(points)
        self.mean: Floats = covariances @ process.weights
        self._points = points * process.scale
        self._explained = process.whitened(covariances)
        """By the observed points. [m, n]"""
        self._variances: Floats = process.variance - (self._explained**2).sum(1)
        self._pretended: Floats = np.empty((0, points.shape[1]))
        """Scaled points. [p, f]"""
        self._known: Floats = np.empty((0, self._explained.shape[1]))
        """What the observed points explain of them. [p, n]"""

    def pretend(self, points: Floats) -> None:
        """Takes points [any, f] as observed from now on."""
        scaled = points * self.process.scale
        self._pretended = np.concatenate((self._pretended, scaled))
        self._known = np.concatenate((self._known, self.process.whitened(self.process.covariances(points))))

    def deviations(self, which: slice = ALL) -> Floats:
        """Standard deviations of the true values of some of the points, without noise. [which]"""
        variances = self._variances[which]
        if len(self._pretended):
            process, known = self.process, self._known
            left = process.between(self._pretended, self._pretended) - known @ known.T
            left[np.diag_indices(len(left))] += process.noise + JITTER
            of_these = process.between(self._points[which], self._pretended) - self._explained[which] @ known.T
            by_pretended = solve_triangular(np.linalg.cholesky(left), of_these.T, lower=True, check_finite=False)
            variances = variances - (by_pretended**2).sum(0)
        found: Floats = np.sqrt(np.maximum(variances, 1e-9))
        return found


def _matern(squares: Floats) -> Floats:
    """Matérn 5/2 of squared distances, in their memory. Those that rounding made negative are 0."""
    distance = np.sqrt(np.multiply(5.0, np.maximum(squares, 0.0, out=squares), out=squares), out=squares)
    found = distance * distance
    found /= 3.0
    found += distance
    found += 1.0
    found *= np.exp(np.negative(distance, out=distance), out=distance)
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
        slope = 1.0 + distance
        kernel = variance * (slope + distance**2 / 3.0) * decay
        root = np.linalg.cholesky(kernel + (noise + JITTER) * one)
        inverted = cho_solve((root, True), one, check_finite=False)
        weights = inverted @ values
        off = (theta - prior) / spread
        outer = inverted - np.outer(weights, weights)
        by_square = (outer * (-5.0 / 6.0 * variance * slope * decay)).ravel()
        gradient = np.empty_like(theta)
        gradient[:parameters] = -inverse * (flat @ by_square)
        gradient[parameters] = 0.5 * (outer * kernel).sum()
        gradient[parameters + 1] = 0.5 * noise * np.trace(outer)
        total = 0.5 * values @ weights + np.log(np.diag(root)).sum() + 0.5 * off @ off
        return float(total), gradient + off / spread

    bounds = [(-3.0, 3.0)] * (parameters + 1) + [(-7.0, 1.0)]
    found = minimize(cost, prior, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}).x
    return np.exp(found[:parameters]), float(np.exp(found[-2])), float(np.exp(found[-1]))
