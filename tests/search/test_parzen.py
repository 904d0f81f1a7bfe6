"""The density against Optuna's own estimator, and its samples against its values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

from hpo.search.sampling.parzen import Domain, Floats, Kernels, beside, fit

PARAMETERS: tuple[BaseDistribution, ...] = (
    FloatDistribution(-3.0, 5.0),
    FloatDistribution(1e-6, 1e2, log=True),
    FloatDistribution(0.0, 0.6, step=0.05),
    IntDistribution(-5, 40),
    IntDistribution(8, 128, step=8),
    IntDistribution(1, 1000, log=True),
    CategoricalDistribution(["a", "b", "c"]),
    CategoricalDistribution([False, True]),
)


def space_of(distributions: list[BaseDistribution]) -> dict[str, BaseDistribution]:
    return {f"p{index}": distribution for index, distribution in enumerate(distributions)}


def points_in(space: dict[str, BaseDistribution], count: int, seed: int) -> Floats:
    """Uniform over the scale, so that log and stepped ranges are covered to their ends."""
    prior = fit(Domain(space), np.empty((0, len(space))), np.empty(0))
    points = prior.sample(np.random.default_rng(seed).random((count, 1 + len(space))))
    for column, distribution in enumerate(space.values()):
        if not isinstance(distribution, CategoricalDistribution):
            assert isinstance(distribution, FloatDistribution | IntDistribution)
            points[: min(count, 2), column] = (distribution.low, distribution.high)[: min(count, 2)]
    return points


def optunas(space: dict[str, BaseDistribution], points: Floats) -> _ParzenEstimator:
    parameters = _ParzenEstimatorParameters(
        prior_weight=1.0, consider_magic_clip=True, consider_endpoints=False, weights=default_weights, multivariate=True
    )
    return _ParzenEstimator(dict(zip(space, points.T, strict=True)), space, parameters)


def log_density(kernels: Kernels, points: Floats) -> Floats:
    """The logarithm of the density at each point."""
    found: Floats = np.log(kernels.sums(points)) - math.log(kernels.weights.sum())
    return found


SPACES = st.lists(st.sampled_from(PARAMETERS), min_size=1, max_size=6)


@given(distributions=SPACES, count=st.integers(0, 120), seed=st.integers(0, 1000))
def test_the_density_is_that_of_optuna(distributions: list[BaseDistribution], count: int, seed: int) -> None:
    space = space_of(distributions)
    points, others = points_in(space, count, seed), points_in(space, 40, seed + 1)
    ours = log_density(fit(Domain(space), points, default_weights(count)), others)
    theirs = optunas(space, points).log_pdf(dict(zip(space, others.T, strict=True)))
    assert np.abs(ours - theirs).max() < 1e-9


@given(distributions=SPACES, count=st.integers(0, 60), seed=st.integers(0, 1000))
def test_samples_lie_in_range_and_on_steps(distributions: list[BaseDistribution], count: int, seed: int) -> None:
    space = space_of(distributions)
    uniform = np.random.default_rng(seed + 2).random((50, 1 + len(space)))
    uniform[0], uniform[1] = 0.0, np.nextafter(1.0, 0.0)
    samples = fit(Domain(space), points_in(space, count, seed), default_weights(count)).sample(uniform)
    for values, distribution in zip(samples.T, space.values(), strict=True):
        assert all(distribution._contains(value) for value in values)


@pytest.mark.parametrize("distribution", PARAMETERS, ids=str)
def test_samples_follow_the_density(distribution: BaseDistribution) -> None:
    """Of 20,000 draws as many fall below each of some places as the density says."""
    space = {"p": distribution}
    kernels = fit(Domain(space), points_in(space, 12, 5), default_weights(12))
    drawn = kernels.sample(np.random.default_rng(0).random((20_000, 2)))[:, 0]
    assert isinstance(distribution, FloatDistribution | IntDistribution | CategoricalDistribution)
    if isinstance(distribution, CategoricalDistribution):
        grid = np.arange(len(distribution.choices), dtype=np.float64)
        chance = np.exp(log_density(kernels, grid[:, None]))
    elif distribution.step is not None:
        steps = round((distribution.high - distribution.low) / distribution.step)
        grid = distribution.low + distribution.step * np.arange(steps + 1.0)
        chance = np.exp(log_density(kernels, grid[:, None]))
    else:
        low, high = distribution.low, distribution.high
        edges = np.geomspace(low, high, 4001) if distribution.log else np.linspace(low, high, 4001)
        grid = edges[1:]
        widths = np.diff(np.log(edges) if distribution.log else edges)  # the density of a logarithm is over it
        chance = np.exp(log_density(kernels, (edges[1:, None] + edges[:-1, None]) / 2)) * widths
    assert chance.sum() == pytest.approx(1.0, abs=1e-3)
    share = (drawn[:, None] <= grid[None] + 1e-9).mean(axis=0)
    assert np.abs(share - np.cumsum(chance)).max() < 1.95 / math.sqrt(len(drawn)), "Kolmogorov and Smirnov, p = 0.001"


def test_a_point_beside_is_as_wide_as_if_it_were_observed() -> None:
    space = space_of(list(PARAMETERS))
    points = points_in(space, 30, 1)
    together = fit(Domain(space), points, np.ones(30))
    added = beside(fit(Domain(space), points[:25], np.ones(25)), points[25:])
    assert np.array_equal(added.centres, together.centres[25:30])
    assert np.array_equal(added.widths, together.widths[25:30])
    assert all(np.array_equal(a, b[25:30]) for a, b in zip(added.chances, together.chances, strict=True))
    assert np.array_equal(added.weights, np.ones(5))
