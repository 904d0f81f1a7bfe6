"""The process against scikit-learn's, and what it knows after points that are pretended to be observed."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from hpo.search.sampling.gaussian_process import (
    JITTER,
    LENGTH,
    LENGTH_SPREAD,
    NOISE,
    NOISE_SPREAD,
    VARIANCE,
    VARIANCE_SPREAD,
    GaussianProcess,
)
from hpo.search.sampling.parzen import Floats

OWNER = np.array([0, 1, 2, 2])
"""Two numbers and a category of two choices."""


def data(count: int, seed: int = 0) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    chosen = random.integers(2, size=count)
    points = np.column_stack([random.random((count, 2)), 0.7 * (chosen == 0), 0.7 * (chosen == 1)])
    values = np.sin(6 * points[:, 0]) + chosen + 0.1 * random.normal(size=count)
    return points, (values - values.mean()) / values.std()


def process(count: int) -> GaussianProcess:
    points, values = data(count)
    return GaussianProcess(points, values, OWNER, np.arange(count))


def reference(found: GaussianProcess, points: Floats, values: Floats) -> GaussianProcessRegressor:
    """The same process of scikit-learn's, with the same lengths, variance and noise."""
    kernel = ConstantKernel(found.variance) * Matern(1 / found.scale, nu=2.5) + WhiteKernel(found.noise + JITTER)
    return GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(points, values)


@pytest.mark.parametrize("count", [2, 5, 40])
def test_predictions_are_those_of_scikit_learn(count: int) -> None:
    found, (points, values), (others, _) = process(count), data(count), data(30, seed=1)
    sight = found.sight(others)
    mean, deviation = reference(found, points, values).predict(others, return_std=True)
    np.testing.assert_allclose(sight.mean, mean, atol=1e-7)
    noise = found.noise + JITTER
    np.testing.assert_allclose(sight.deviations() ** 2, np.maximum(deviation**2 - noise, 1e-9), atol=1e-6)


def test_pretending_is_observing_the_expected_value() -> None:
    found, (points, values), (others, _) = process(20), data(20), data(30, seed=1)
    more, _ = data(4, seed=2)
    more = np.vstack((more, more[:1]))  # the same point twice
    sight = found.sight(others)
    before = sight.mean.copy()
    sight.pretend(more[:2])
    for point in more[2:]:
        sight.pretend(point[None])
    expected = reference(found, np.vstack((points, more)), np.concatenate((values, found.mean(more))))
    mean, deviation = expected.predict(others, return_std=True)
    np.testing.assert_allclose(sight.mean, before)
    np.testing.assert_allclose(mean, before, atol=1e-7)
    np.testing.assert_allclose(sight.deviations() ** 2, deviation**2 - found.noise - JITTER, atol=1e-6)


def test_lengths_variance_and_noise_are_the_most_probable() -> None:
    """No step away from them makes the values more probable, the priors included."""
    points, values = data(60)
    found = GaussianProcess(points, values, OWNER, np.arange(60))
    lengths = np.array([1 / found.scale[0], 1 / found.scale[1], 1 / found.scale[2]])

    def probability(theta: Floats) -> float:
        lengths, variance, noise = np.exp(theta[:3]), np.exp(theta[3]), np.exp(theta[4])
        kernel = ConstantKernel(variance) * Matern(lengths[OWNER], nu=2.5) + WhiteKernel(noise + JITTER)
        fitted = GaussianProcessRegressor(kernel, optimizer=None, alpha=0.0).fit(points, values)
        off = (theta - [*[LENGTH] * 3, VARIANCE, NOISE]) / [*[LENGTH_SPREAD] * 3, VARIANCE_SPREAD, NOISE_SPREAD]
        return float(fitted.log_marginal_likelihood_value_ - 0.5 * off @ off)

    at = np.log([*lengths, found.variance, found.noise])
    for index in range(5):
        for step in (-0.2, 0.2):
            moved = at.copy()
            moved[index] += step
            assert probability(moved) < probability(at)


def test_a_parameter_without_effect_has_a_longer_length() -> None:
    found = process(60)
    assert 1 / found.scale[1] > 2 / found.scale[0]
