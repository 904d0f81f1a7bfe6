"""Each warning appears where it must and nowhere else."""

import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from hpo import endings
from hpo.reports.cautions import accuracy_error, edge_of
from hpo.reports.compare import table
from hpo.reports.trials import trial_row

from .factory import RATE, small, trial


def edge(value, distribution):
    return edge_of(trial_row(trial(0, 0.9, {"x": value}, {"x": distribution})), "x")


@pytest.mark.parametrize(
    ("value", "distribution", "side"),
    [
        (0.95, RATE, "upper"),
        (0.5, RATE, None),  # in the middle of the highest decade, though at half of the linear range
        (1.2e-4, RATE, "lower"),
        (3e-4, RATE, None),
        (0.59, FloatDistribution(0.0, 0.6), "upper"),
        (0.0, FloatDistribution(0.0, 0.6), None),  # a share cannot be less than 0
        (-0.99, FloatDistribution(-1.0, 1.0), "lower"),
        (1, IntDistribution(1, 8), None),  # a count cannot be less than 1
        (16, IntDistribution(16, 256, log=True), "lower"),
        (8, IntDistribution(1, 8), "upper"),
        (0.5, FloatDistribution(0.5, 0.5), None),
        ("a", CategoricalDistribution(("a", "b")), None),
    ],
)
def test_edges_of_ranges(value, distribution, side):
    assert edge(value, distribution) == side


def said(report, words):
    return [caution for caution in report.cautions if words in caution]


def test_the_edge_warning_names_the_parameter_the_range_and_the_company():
    trials = [trial(0, 0.99, {"optimizer.learning_rate": 0.97}, {"optimizer.learning_rate": RATE})]
    trials += [
        trial(i, 0.9 - 0.01 * i, {"optimizer.learning_rate": rate}, {"optimizer.learning_rate": RATE})
        for i, rate in enumerate([0.99, 0.9, 0.01], start=1)
    ]
    (caution,) = said(small(trials), "edge of its range")
    assert "optimizer.learning_rate = 0.97" in caution
    assert "upper edge of its range 0.0001 to 1 (so do 2 of the next 3 best)" in caution


def test_failures_give_the_first_reason():
    report = small([trial(0, 0.9), trial(1, None, state=TrialState.FAIL, ended="failed: boom", epochs=0)])
    assert said(report, "1 trial of 2 failed; the first, trial 1: failed: boom")


def test_many_divergences_are_a_finding_and_one_is_not():
    gone = {"state": TrialState.PRUNED, "ended": "diverged at epoch 2: loss is not finite"}
    few = [trial(0, 0.9), trial(1, 0.8), trial(2, 0.1, **gone)]
    assert not said(small(few), "diverged")
    assert said(small([*few, trial(3, 0.1, **gone)]), "2 of 4 trials diverged (50 %)")


@pytest.mark.parametrize("ended", [endings.undefined("r2", 1), "diverged at epoch 1: the objective is not finite"])
def test_an_undefined_objective_is_not_blamed_on_the_learning_rate(ended):
    gone = {"state": TrialState.PRUNED, "ended": ended}
    report = small([trial(number, None, **gone) for number in range(3)], objective="r2")
    assert said(report, "3 trials of 3 ended because R² is undefined on their validation part")
    assert not said(report, "learning rate")
    assert not said(report, "diverged")


def test_an_undefined_test_score_is_a_finding():
    report = small([trial(0, 0.9)], objective="r2", winner_number=0, test={"r2": None, "rmse": 1.0})
    assert said(report, "The test R² is undefined")
    assert not said(small([trial(0, 0.9)], objective="r2", winner_number=0, test={"r2": 0.5}), "undefined")


def test_an_infinite_value_never_wins():
    report = small([trial(0, math.inf), trial(1, 0.5), trial(2, -math.inf)], objective="r2")
    assert report.winner is not None
    assert report.winner.number == 1
    assert [point.best for point in report.history] == [None, 0.5, 0.5]
    assert table([report])["median"][0] == 0.5


def test_no_winner_and_running():
    report = small([trial(0, None, state=TrialState.RUNNING), trial(1, None, state=TrialState.FAIL, epochs=0)])
    assert said(report, "No trial has finished")
    assert said(report, "1 trial still running")


def test_few_trials():
    assert said(small([trial(i, 0.5 + 0.01 * i) for i in range(19)]), "Only 19 trials finished")
    assert not said(small([trial(i, 0.5 + 0.01 * i) for i in range(20)]), "trials finished:")


def test_still_improving_only_at_the_last_epoch_of_the_longest():
    assert said(small([trial(0, 0.9, epochs=30, best_epoch=30)]), "still improving at its last epoch (30)")
    assert not said(small([trial(0, 0.9, epochs=30, best_epoch=29)]), "still improving")
    stopped_early = [trial(0, 0.9, epochs=10, best_epoch=10), trial(1, 0.8, epochs=30)]
    assert not said(small(stopped_early), "still improving")


def test_found_late():
    rising = [trial(i, 0.5 + 0.01 * i) for i in range(20)]
    assert said(small(rising), "came late (trial 19 of 20)")
    assert not said(small([trial(i, 0.9 - 0.01 * i) for i in range(20)]), "came late")


def test_values_within_the_noise_of_the_validation_part():
    near = [trial(0, 0.97), trial(1, 0.968), trial(2, 0.8)]
    assert said(small(near), "2 finished trials lie within one standard error")
    assert not said(small([trial(0, 0.97), trial(1, 0.8)]), "standard error")
    assert said(small([trial(0, 0.5), trial(1, 0.5)], objective="rmse"), "2 finished trials share the best value")


def test_a_test_score_far_below_the_validation_score():
    wide = {"winner_number": 0, "test": {"accuracy": 0.80}}
    assert said(small([trial(0, 0.97)], **wide), "lower than the validation score")
    assert not said(small([trial(0, 0.97)], winner_number=0, test={"accuracy": 0.96}), "lower than")


def test_standard_error_is_the_binomial_one_and_never_zero():
    assert accuracy_error(0.5, 10_000) == pytest.approx(0.005, rel=1e-3)
    assert accuracy_error(1.0, 100) > 0.01
