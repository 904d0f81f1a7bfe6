"""Draws of the Gaussian process: the same however they are asked for, within the space, and better than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from hpo.search.sampling.bayesian import BayesianSampler, expected_improvement, normal_scores
from hpo.space import Parameter

PARAMETERS = (
    Parameter(name="optimizer.name", distribution=CategoricalDistribution(("sgd", "adam"))),
    Parameter(name="optimizer.learning_rate", distribution=FloatDistribution(1e-4, 1.0, log=True)),
    Parameter(
        name="optimizer.momentum",
        distribution=FloatDistribution(0.0, 0.9, step=0.1),
        conditions=(("optimizer.name", ("sgd",)),),
    ),
    Parameter(name="model.layers", distribution=IntDistribution(1, 4)),
    Parameter(name="training.batch_size", distribution=CategoricalDistribution((32,))),
)
BY_NAME = {parameter.name: parameter for parameter in PARAMETERS}


def is_active(parameter: Parameter, params: Mapping[str, Any]) -> bool:
    return all(params.get(path) in labels for path, labels in parameter.conditions)


def loss(params: Mapping[str, Any]) -> float:
    rate = np.log10(params["optimizer.learning_rate"]) + 2
    return float(rate**2 + (params["optimizer.name"] == "adam") + 0.1 * params["model.layers"])


def drawn_at_random(number: int) -> FrozenTrial:
    random = np.random.default_rng(number)
    params: dict[str, Any] = {}
    for parameter in PARAMETERS:
        if not is_active(parameter, params):
            continue
        match parameter.distribution:
            case CategoricalDistribution(choices=choices):
                params[parameter.name] = choices[random.integers(len(choices))]
            case FloatDistribution(log=True):
                params[parameter.name] = float(10 ** random.uniform(-4, 0))
            case FloatDistribution():
                params[parameter.name] = random.integers(10) / 10
            case IntDistribution():
                params[parameter.name] = int(random.integers(1, 5))
    return ended(number, params, loss(params))


def ended(number: int, params: dict[str, Any], value: float) -> FrozenTrial:
    distributions = {name: BY_NAME[name].distribution for name in params}
    trial = create_trial(params=params, distributions=distributions, value=value)
    trial.number = number
    return trial


def sampler() -> BayesianSampler:
    return BayesianSampler(PARAMETERS, seed=5, maximize=False)


def batch_of(
    observed: Sequence[FrozenTrial], running: Sequence[FrozenTrial], numbers: Sequence[int]
) -> list[dict[str, Any]]:
    batch = sampler().batch(observed, running, numbers)
    found = []
    for number in numbers:
        values = batch.group(number, "optimizer.name")
        params = {p.name: values[p.name] for p in PARAMETERS if p.name in values and is_active(p, values)}
        batch.drawn(params)
        found.append(params)
    return found


OBSERVED = [drawn_at_random(number) for number in range(20)]


def test_asking_once_for_three_is_asking_three_times_for_one() -> None:
    together = batch_of(OBSERVED, (), (20, 21, 22))
    running: list[FrozenTrial] = []
    for number in (20, 21, 22):
        (alone,) = batch_of(OBSERVED, running, (number,))
        assert alone == together[number - 20]
        running.append(ended(number, alone, 0.0))


def test_the_order_in_which_trials_are_read_has_no_effect() -> None:
    once, bit_by_bit = sampler(), sampler()
    bit_by_bit.batch(OBSERVED[10:], (), (20,))
    at_once, later = once.batch(OBSERVED, (), (20,)), bit_by_bit.batch(OBSERVED[:10][::-1], (), (20,))
    assert at_once.group(20, "optimizer.name") == later.group(20, "optimizer.name")


def test_draws_lie_in_the_space_and_differ() -> None:
    found = batch_of(OBSERVED, (), range(20, 36))
    for params in found:
        for name, value in params.items():
            assert BY_NAME[name].distribution._contains(BY_NAME[name].distribution.to_internal_repr(value))
        assert ("optimizer.momentum" in params) == (params["optimizer.name"] == "sgd")
    assert len({params["optimizer.learning_rate"] for params in found}) == len(found)


def test_an_order_of_its_own_counts_instead_of_the_values() -> None:
    """With the worst trials ordered first, draws go where those are."""
    worst_first = {t.number: rank for rank, t in enumerate(sorted(OBSERVED, key=lambda t: -(t.value or 0.0)))}
    (params,) = (sampler().batch(OBSERVED, (), (20,), worst_first).group(20, "optimizer.name"),)
    (usual,) = batch_of(OBSERVED, (), (20,))
    assert loss(params) > loss(usual)


def test_it_finds_better_ones_than_chance() -> None:
    best = []
    for seed in range(5):
        trials = [drawn_at_random(1000 * seed + number) for number in range(8)]
        for trial, number in zip(trials, range(8), strict=True):
            trial.number = number
        model = BayesianSampler(PARAMETERS, seed=seed, maximize=False)
        for number in range(8, 24):
            batch = model.batch(trials, (), (number,))
            values = batch.group(number, "optimizer.name")
            params = {p.name: values[p.name] for p in PARAMETERS if p.name in values and is_active(p, values)}
            trials.append(ended(number, params, loss(params)))
        chance = min(loss(drawn_at_random(1000 * seed + number).params) for number in range(24))
        best.append((min(trial.value or 0.0 for trial in trials), chance))
    assert sum(found < chance for found, chance in best) >= 4
    assert np.mean([found for found, _ in best]) < 0.12


@pytest.mark.parametrize(
    "space",
    [
        {},
        {"a": FloatDistribution(0.0, 1.0)},
        {"a": CategoricalDistribution(("x", "y"))},
        {"a": CategoricalDistribution(("x", "y")), "b": CategoricalDistribution((1, 2, 3))},
        {"a": IntDistribution(3, 3)},
    ],
)
@pytest.mark.parametrize("count", [1, 2, 12])
def test_degenerate_spaces_and_histories(space: dict[str, BaseDistribution], count: int) -> None:
    model = BayesianSampler([Parameter(name=n, distribution=d) for n, d in space.items()], seed=0, maximize=True)
    trials = []
    for number in range(count):
        params = {name: d.to_external_repr(d.to_internal_repr(_first(d))) for name, d in space.items()}
        trials.append(create_trial(params=params, distributions=space, value=0.5))
        trials[-1].number = number
    batch = model.batch(trials, (), (count,))
    for name in model.group_of:
        assert name in batch.group(count, name)
    batch.drawn({})


def _first(distribution: BaseDistribution) -> Any:
    return distribution.choices[0] if isinstance(distribution, CategoricalDistribution) else distribution.low  # type: ignore[attr-defined]


def test_normal_scores_fall_with_the_rank() -> None:
    scores = normal_scores(np.arange(9.0)[:, None])
    assert list(scores) == sorted(set(scores), reverse=True)
    assert scores.mean() == pytest.approx(0.0, abs=1e-12)
    assert scores.std() == pytest.approx(1.0)
    assert list(normal_scores(np.zeros((1, 3)))) == [0.0]


def test_equal_ranks_have_equal_scores() -> None:
    first, second, third, *rest = normal_scores(np.array([[0.0, 1.0], [0.0, 2.0], [0.0, 2.0], [1.0, 0.0], [1.0, 0.0]]))
    assert first > second == third > rest[0] == rest[1]
    assert list(normal_scores(np.zeros((4, 1)))) == [0.0] * 4


def test_expected_improvement_is_the_mean_of_what_is_better() -> None:
    random = np.random.default_rng(0)
    for mean, deviation, best in ((0.0, 1.0, 0.5), (1.0, 0.2, 0.5), (-1.0, 0.5, 1.0)):
        drawn = random.normal(mean, deviation, 400_000)
        (found,) = expected_improvement(np.array([mean]), np.array([deviation]), best)
        assert found == pytest.approx(np.maximum(drawn - best, 0).mean(), abs=2e-3)
