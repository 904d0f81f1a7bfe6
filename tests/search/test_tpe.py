"""Draws for a batch: the same whether asked for together or apart, apart from each other, and drawn to what is good."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from hpo.search.sampling.tpe import TpeSampler

ALWAYS: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-4, 1.0, log=True),
    "units": IntDistribution(1, 8),
    "kind": CategoricalDistribution(["a", "b"]),
    "fixed": IntDistribution(3, 3),
}
SOMETIMES: dict[str, BaseDistribution] = {"extra": FloatDistribution(0.0, 1.0)}
GROUPS = (ALWAYS, SOMETIMES)


def drawn(
    tpe: TpeSampler, ended: Sequence[FrozenTrial], running: Sequence[FrozenTrial], numbers: list[int]
) -> list[Any]:
    batch, found = tpe.batch(ended, running, numbers), []
    for number in numbers:
        params = batch.group(number, "rate")
        if params["kind"] == "b":
            params |= batch.group(number, "extra")
        batch.drawn(params)
        found.append(params)
    return found


def trial(number: int, params: dict[str, Any], value: float | None) -> FrozenTrial:
    known = {**ALWAYS, **SOMETIMES}
    made = create_trial(
        state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
        params=params,
        distributions={name: known[name] for name in params},
        value=value,
    )
    made.number = number
    return made


@pytest.fixture(scope="module")
def ended() -> list[FrozenTrial]:
    """The nearer the rate is to 0.01 and the more units, the better; kind b is worse."""
    rng = np.random.default_rng(0)
    found = []
    for number in range(80):
        params: dict[str, Any] = {
            "rate": 10 ** -rng.uniform(0, 4),
            "units": int(rng.integers(1, 9)),
            "kind": str(rng.choice(["a", "b"])),
        }
        value = (np.log10(params["rate"]) + 2) ** 2 + 0.1 * (8 - params["units"]) + (params["kind"] == "b")
        if params["kind"] == "b":
            params["extra"] = rng.uniform()
        found.append(trial(number, params, value))
    return found


def test_a_parameter_that_cannot_vary_is_no_part_of_the_model() -> None:
    assert "fixed" not in TpeSampler(GROUPS, seed=0, maximize=False).group_of


def test_together_or_one_by_one_gives_the_same(ended: list[FrozenTrial]) -> None:
    together = drawn(TpeSampler(GROUPS, seed=5, maximize=False), ended, [], [80, 81, 82, 83])
    running: list[FrozenTrial] = []
    for number, params in enumerate(together, 80):
        fresh = TpeSampler(GROUPS, seed=5, maximize=False)  # another process, which has seen nothing before
        assert drawn(fresh, ended, running, [number]) == [params]
        running.append(trial(number, params, None))
    assert len({tuple(params.items()) for params in together}) == 4


def test_draws_depend_on_the_seed_and_the_number(ended: list[FrozenTrial]) -> None:
    seen = {
        drawn(TpeSampler(GROUPS, seed=seed, maximize=False), ended, [], [number])[0]["rate"]
        for seed in (0, 1)
        for number in (80, 81)
    }
    assert len(seen) == 4


@pytest.mark.parametrize("maximize", [False, True])
def test_draws_go_where_values_are_good(ended: list[FrozenTrial], maximize: bool) -> None:
    found = drawn(TpeSampler(GROUPS, seed=0, maximize=maximize), ended, [], list(range(80, 120)))
    away = np.median([abs(np.log10(params["rate"]) + 2) for params in found])
    kinds = [params["kind"] for params in found].count("b")
    # Uniform draws are 1 away in the median, and half of them are of kind b.
    assert (away > 1.2 and kinds > 30) if maximize else (away < 0.8 and kinds < 10)


def test_draws_keep_away_from_what_runs(ended: list[FrozenTrial]) -> None:
    (alone,) = drawn(TpeSampler(GROUPS, seed=0, maximize=False), ended, [], [80])
    busy = [trial(100 + index, alone, None) for index in range(30)]
    (beside,) = drawn(TpeSampler(GROUPS, seed=0, maximize=False), ended, busy, [80])
    assert beside != alone


def test_it_draws_before_it_has_seen_anything() -> None:
    found = drawn(TpeSampler(GROUPS, seed=0, maximize=False), [], [], list(range(200)))
    assert {params["kind"] for params in found} == {"a", "b"}
    assert {params["units"] for params in found} == set(range(1, 9))
    rates = [np.log10(params["rate"]) for params in found]
    assert min(rates) < -3.5
    assert max(rates) > -0.5
