"""Standard errors, against simulation and by hand."""

import math

import numpy as np
import pytest

from hpo.reports.parts import Parts, balance_rows, parts_of
from hpo.reports.statistics.noise import accuracy_error, auroc_error, balanced_accuracy_error, error_of, noise_of
from tests.reports.factory import balance


def test_standard_error_is_the_binomial_one_and_never_zero():
    assert accuracy_error(0.5, 10_000) == pytest.approx(0.005, rel=1e-3)
    assert accuracy_error(1.0, 100) > 0.01
    assert balanced_accuracy_error(1.0, [50, 50]) > 0.01
    assert auroc_error(1.0, [50, 50]) > 0.005


def test_the_error_of_a_mean_recall_as_simulated():
    rng = np.random.default_rng(0)
    recalls = [rng.binomial(count, 0.8, 20_000) / count for count in (40, 200)]
    assert balanced_accuracy_error(0.8, [40, 200]) == pytest.approx(float(np.std(np.mean(recalls, 0))), rel=0.05)


def test_the_error_of_an_area_as_simulated():
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(1000):
        ones, rest = rng.normal(1.0, 1.0, 60), rng.normal(0.0, 1.0, 140)
        areas.append((ones[:, None] > rest[None, :]).mean())
    assert auroc_error(float(np.mean(areas)), [60, 140]) == pytest.approx(float(np.std(areas)), rel=0.12)


@pytest.mark.parametrize("objective", ["macro_f1", "loss", "rmse", "mae", "r2", "one of my own"])
def test_of_other_metrics_the_number_of_examples_tells_nothing(objective):
    assert error_of(objective, 0.5, [50, 50]) is None


def test_no_examples_no_error():
    assert error_of("accuracy", 0.5, ()) is None
    assert noise_of("accuracy", 0.5, (), 1, Parts()) is None


def test_spreads_are_pooled_over_trials():
    noise = noise_of("rmse", 1.0, [0.3, 0.4], 5, Parts(validation=(50,), test=(40,), folds=5))
    pooled = math.sqrt((0.09 + 0.16) / 2)
    assert noise.error == pytest.approx(pooled / math.sqrt(5))
    assert noise.test_error == pytest.approx(pooled * math.sqrt(10 / 40))
    assert noise.freedom == 8
    assert noise.limit(1.0) == pytest.approx(2.306, rel=1e-3)


def test_a_spread_that_happens_to_be_small_does_not_hide_the_luck_of_the_examples():
    folds = Parts(validation=(50, 50), folds=5)
    assert noise_of("accuracy", 0.9, [1e-6], 5, folds).error == accuracy_error(0.9, 100)


def test_parts_of_earlier_versions_are_known_by_their_names():
    made = [balance([10, 20], test=[3, 4], folds=3, typed=typed) for typed in (True, False)]
    typed, named = (balance_rows(records) for records in made)
    assert typed == named
    assert parts_of(named) == Parts(validation=(30, 60), test=(3, 4), folds=3)
    assert parts_of(balance_rows(balance([5, 6], typed=False))) == Parts(validation=(5, 6))


@pytest.mark.parametrize("objective", ["rmse", "macro_f1", "loss"])
def test_where_examples_tell_nothing_the_test_score_s_spread_does(objective):
    parts = Parts(validation=(100,), test=(400,))
    noise = noise_of(objective, 0.5, [], 1, parts, drawn=0.01)
    assert (noise.error, noise.test_error) == (pytest.approx(0.02), 0.01)
    assert noise.source == "100 validation examples, by the spread of the test score"
    assert noise_of("accuracy", 0.5, [], 1, parts, drawn=0.01) == noise_of("accuracy", 0.5, [], 1, parts)
    assert noise_of(objective, 0.5, [], 1, Parts(validation=(100,)), drawn=0.01) is None
    of_folds = noise_of(objective, 0.5, [0.1, 0.1], 4, Parts(validation=(100,), test=(400,), folds=4), drawn=0.01)
    assert (of_folds.error, of_folds.test_error) == (0.05, 0.01)
    assert of_folds.source == "the spread over 4 folds"
