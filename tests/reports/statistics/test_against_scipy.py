"""The statistics of health checks agree with scipy's."""

import numpy as np
import pytest
from scipy import stats

from hpo.reports.statistics import effects, ordering, replicas


@pytest.fixture
def draw():
    return np.random.default_rng(0)


def test_ranks_and_rank_tests(draw):
    first, second = draw.integers(0, 9, 30), draw.integers(2, 11, 25)
    assert effects.ranks(first).tolist() == stats.rankdata(first).tolist()
    expected = stats.mannwhitneyu(second, first, alternative="greater", method="asymptotic").pvalue
    assert ordering.chance_of_higher(second, first) == pytest.approx(expected)
    assert ordering.chance_of_higher([], first) == ordering.chance_of_higher([1, 1], [1, 1]) == 1.0
    a, b = draw.normal(size=20), draw.normal(size=20)
    expected = stats.spearmanr(a, b, alternative="greater")
    found = ordering.correlation(a, b)
    assert found == pytest.approx(expected.statistic)
    assert ordering.chance_of_correlation(found, 20) == pytest.approx(expected.pvalue)


def test_one_parameter_alone_is_a_regression(draw):
    x, y = draw.normal(size=50), draw.normal(size=50)
    expected = stats.linregress(x, y).pvalue
    assert effects.marginal_chances(y[None], [effects.basis(x[:, None])])[0, 0] == pytest.approx(expected)
    assert effects.partial_chances(y, [x[:, None]]) == pytest.approx([expected])


def test_the_slope_at_an_edge_points_outwards(draw):
    x = draw.random(200)
    rising, falling = x + 0.1 * draw.normal(size=200), -((x - 0.5) ** 2) + 0.01 * draw.normal(size=200)
    nothing = np.empty((200, 0))
    assert effects.chance_of_slope(rising, x, nothing, 1.0) < 1e-6
    assert effects.chance_of_slope(rising, x, nothing, 0.0) == 1.0
    assert effects.chance_of_slope(falling, x, nothing, 1.0) == effects.chance_of_slope(falling, x, nothing, 0.0) == 1.0
    near = -((x - 0.97) ** 2) + 0.001 * draw.normal(size=200)
    assert effects.chance_of_slope(near, x, nothing, 1.0) == 1.0
    assert effects.chance_of_slope(near, x, nothing, 1.0, 0.05) < 1e-6
    assert effects.chance_of_slope(-near, x, nothing, 1.0, 0.05) == 1.0


def test_what_folds_have_in_common_counts_for_neither_side(draw):
    values_NR = draw.normal(size=(40, 3))
    found = replicas.shares(values_NR, 0.01)
    moved = replicas.shares(values_NR + np.array([0.0, 50.0, -50.0]), 0.01)
    assert (moved.luck, moved.chance) == pytest.approx((found.luck, found.chance))
    assert found.luck == pytest.approx(1.0, abs=0.3)
    assert replicas.shares(values_NR + 5 * draw.normal(size=(40, 1)), 0.01).chance < 1e-6


def test_the_best_of_equal_values_is_as_much_too_good_as_theory_says(draw):
    """The bootstrap around measured values, which vary as much again, finds about 1 / sqrt(2) of it."""
    means = draw.normal(size=(200, 50))
    expected = means.max(1).mean()
    found = np.mean([replicas.optimism(row, 1.0) for row in means[:20]])
    assert 0.5 * expected < found < expected
    assert replicas.optimism(np.array([0.0, 100.0]), 1.0) == pytest.approx(0.0, abs=0.1)


def test_the_effect_that_would_have_been_seen():
    assert effects.sees_large(100, 2, 6, 0.01)
    assert not effects.sees_large(20, 2, 6, 0.01)
    assert ordering.sees_correlation(24, 0.8, 0.01)
    assert not ordering.sees_correlation(10, 0.7, 0.01)
