"""Importances find the parameter that matters, with conditional parameters and pruned trials, or say why not."""

import numpy as np
import pytest
from optuna.trial import TrialState

from hpo.reports.importances import importances
from hpo.reports.trials import trial_row

from .factory import DECAY, DROPOUT, OPTIMIZER, RATE, trial


def rows(count, value_of, pruned_below=None):
    rng = np.random.default_rng(3)
    made = []
    for number in range(count):
        params = {
            "optimizer.learning_rate": float(10 ** rng.uniform(-4, 0)),
            "dropout.p": float(rng.uniform(0, 0.6)),
            "optimizer.name": str(rng.choice(OPTIMIZER.choices)),
        }
        distributions = {
            "optimizer.learning_rate": RATE,
            "dropout.p": DROPOUT,
            "optimizer.name": OPTIMIZER,
        }
        if params["optimizer.name"] == "adamw":
            params["optimizer.weight_decay"] = float(10 ** rng.uniform(-6, -1))
            distributions["optimizer.weight_decay"] = DECAY
        value = value_of(params)
        pruned = pruned_below is not None and value < pruned_below
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        made.append(trial_row(trial(number, value, params, distributions, state=state)))
    return made


def by_rate(params):
    return 1.0 - abs(np.log10(params["optimizer.learning_rate"]) + 2.0) / 4.0


@pytest.mark.parametrize("pruned_below", [None, 0.8])
def test_the_parameter_that_decides_comes_first(pruned_below):
    found = importances(rows(80, by_rate, pruned_below), minimized=False)
    assert found.shares[0][0] == "optimizer.learning_rate"
    assert found.shares[0][1] > 0.5
    assert sum(share for _, share in found.shares) == pytest.approx(1.0)
    assert {name for name, _ in found.shares} >= {"dropout.p", "optimizer.weight_decay"}


def test_the_direction_counts():
    worst_is_best = importances(rows(80, lambda params: -by_rate(params)), minimized=True)
    assert worst_is_best.shares[0][0] == "optimizer.learning_rate"


def test_the_same_trials_give_the_same_importances():
    assert importances(rows(40, by_rate), minimized=False) == importances(rows(40, by_rate), minimized=False)


def test_too_few_trials_and_equal_values_are_said():
    few = importances(rows(9, by_rate), minimized=False)
    assert few.shares == ()
    assert "at least 10 finished trials; this study has 9" in few.note
    assert "same value" in importances(rows(30, lambda _: 0.5), minimized=False).note


def test_one_parameter_has_nothing_to_be_compared_with():
    lone = [trial_row(trial(i, i / 20, {"dropout.p": i / 40}, {"dropout.p": DROPOUT})) for i in range(20)]
    assert "fewer than two" in importances(lone, minimized=False).note
