"""What the model learns from: the same order and split as Optuna's TPE, each trial read once, many thinned to few."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.sampler import _split_trials, default_gamma, default_weights
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.search.sampling.history import MOST, History

SPACE = {"x": FloatDistribution(0.0, 1.0), "c": CategoricalDistribution(["a", "b"]), "n": IntDistribution(1, 9)}


def ended(number: int, rng: random.Random) -> FrozenTrial:
    """A trial of any kind of end: finished, pruned early or late, without a report, not a number, infeasible."""
    params: dict[str, Any] = {"x": rng.random(), "c": rng.choice("ab")}
    if params["c"] == "b":
        params["n"] = rng.randint(1, 9)
    state = rng.choice([TrialState.COMPLETE, TrialState.PRUNED])
    reports = {step: rng.choice([math.nan, rng.random()]) for step in range(rng.randint(0, 3))}
    trial = create_trial(
        state=state,
        params=params,
        distributions={name: SPACE[name] for name in params},
        value=round(rng.random(), 1) if state == TrialState.COMPLETE else None,
        intermediate_values=reports,
        system_attrs={"constraints": [rng.random()]} if rng.random() < 0.1 else {},
    )
    trial.number = number
    return trial


@pytest.mark.parametrize("direction", ["minimize", "maximize"])
@pytest.mark.parametrize("seed", range(20))
def test_the_best_are_those_of_optuna(direction: str, seed: int) -> None:
    rng = random.Random(seed)
    trials = [ended(number, rng) for number in range(rng.randint(1, 150))]
    history = History(SPACE, maximize=direction == "maximize")
    history.read(trials)
    study = optuna.create_study(direction=direction)
    count = default_gamma(len(trials))
    below, _ = _split_trials(study, trials, count)
    assert sorted(history.numbers[history.order()[:count]]) == [trial.number for trial in below]


def test_the_order_of_reading_does_not_matter() -> None:
    rng = random.Random(0)
    trials = [ended(number, rng) for number in range(60)]
    whole, pieces = History(SPACE, maximize=True), History(SPACE, maximize=True)
    whole.read(trials)
    for piece in (trials[40:], trials[:20], trials, trials[20:40]):
        pieces.read(piece)
    assert len(whole) == len(pieces) == 60
    assert np.array_equal(whole.params, pieces.params, equal_nan=True)
    assert np.array_equal(whole.ranks, pieces.ranks)


def test_only_trials_with_all_parameters_are_observed() -> None:
    rng = random.Random(1)
    trials = [ended(number, rng) for number in range(50)]
    history = History(SPACE, maximize=True)
    history.read(trials)
    seen = history.observed(["n", "c"], history.order())
    expected = [[trial.params["n"], 1.0] for trial in trials if "n" in trial.params]
    assert seen.points.tolist() == expected
    assert np.array_equal(seen.weights, default_weights(len(expected)))


def test_a_value_of_another_range_counts_as_absent() -> None:
    history = History({"x": FloatDistribution(0.0, 2.0)}, maximize=True)
    history.read([ended(0, random.Random(0))])
    assert np.isnan(history.params).all()


def test_of_many_the_better_are_kept_and_the_others_thinned_with_the_weight_of_all() -> None:
    rng = random.Random(2)
    trials = []
    for number in range(3 * MOST + 7):
        x = rng.random()
        trial = create_trial(params={"x": x}, distributions={"x": SPACE["x"]}, value=x)
        trial.number = number
        trials.append(trial)
    history = History({"x": SPACE["x"]}, maximize=True)
    history.read(trials)
    seen = history.observed(["x"], history.order(), most=MOST)
    whole = history.observed(["x"], history.order())
    assert whole.points[:, 0].tolist() == [trial.params["x"] for trial in trials]
    assert len(np.unique(seen.points)) == len(seen.points) == MOST
    place = {x: number for number, x in enumerate(whole.points[:, 0])}
    threshold = np.sort(whole.points[:, 0])[-(MOST // 2)]
    near, far = seen.points[:, 0] >= threshold, seen.points[:, 0] < threshold
    assert near.sum() == MOST // 2
    places = [place[x] for x in seen.points[:, 0]]
    assert places == sorted(places)
    assert np.array_equal(seen.weights[near], whole.weights[places][near])
    others = [place[x] for x in whole.points[:, 0] if x < threshold]
    assert places[np.flatnonzero(far)[-1]] == others[-1], "the newest is among them"
    skipped = np.diff([others.index(found) for found, is_far in zip(places, far, strict=True) if is_far])
    assert set(skipped) <= {5, 6}, "evenly: 5 in 1"
    assert seen.weights.sum() == pytest.approx(whole.weights.sum())
