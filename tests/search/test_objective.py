"""From a curve to what the search sees."""

from __future__ import annotations

import pytest

from hpo.search.objective import best_epoch, better, direction, level, next_value, rounded, stops_early, trial_value
from hpo.studyfile.records import EarlyStopping, StudyTable


def study(**settings: object) -> StudyTable:
    return StudyTable.model_validate({"name": "s", **settings})


def test_values_have_six_significant_digits() -> None:
    assert rounded(0.123456789) == 0.123457
    assert rounded(1234567.8) == 1234570.0
    assert rounded(rounded(1 / 3)) == rounded(1 / 3)


@pytest.mark.parametrize(("objective", "way"), [("accuracy", "maximize"), ("loss", "minimize"), ("rmse", "minimize")])
def test_the_direction_follows_from_the_metric(objective: str, way: str) -> None:
    assert direction(study(objective=objective)) == way
    assert better(study(objective=objective), 2.0, 1.0) == (way == "maximize")


def test_the_best_epoch_is_the_first_best_one() -> None:
    curve = [0.5, 0.9, 0.7, 0.9]
    assert best_epoch(study(), curve) == 2
    assert trial_value(study(), curve) == 0.9
    assert best_epoch(study(epoch="last"), curve) == 4
    assert best_epoch(study(objective="loss"), curve) == 1
    assert trial_value(study(), []) is None


@pytest.mark.parametrize(
    ("curve", "mean"), [([0.4], 0.4), ([0.9, 0.4], 0.4), ([0.9, 0.9, 0.4], 0.4), ([0.9, 0.9, 0.5, 0.4], 0.45)]
)
def test_a_level_is_the_mean_of_the_last_third(curve: list[float], mean: float) -> None:
    assert level(curve) == pytest.approx(mean)
    assert level([1 / 3] * 9) == rounded(1 / 3)
    assert level([1.5e308] * 6) == 1.5e308, "whose sum is no number"
    assert level([0.0, 0.0]) == 0.0


def test_smoothing_is_an_exponential_average() -> None:
    curve: list[float] = []
    for raw in (1.0, 0.0, 0.0):
        curve.append(next_value(study(smoothing=0.75), raw, curve))
    assert curve == [1.0, 0.75, 0.5625]
    assert next_value(study(), 0.3, [1.0]) == 0.3


@pytest.mark.parametrize(
    ("curve", "stops"),
    [
        ([0.5], False),
        ([0.5, 0.4, 0.4], True),
        ([0.5, 0.4, 0.6], False),
        ([0.5, 0.505, 0.505], True),
        ([0.5, 0.52, 0.51], False),
    ],
)
def test_early_stopping_waits_for_a_real_improvement(curve: list[float], stops: bool) -> None:
    rule = EarlyStopping(patience=2, minimum_improvement=0.01)
    assert stops_early(study(), rule, curve) is stops
    assert not stops_early(study(), None, curve)
    assert stops_early(study(objective="loss"), rule, [-value for value in curve]) is stops
