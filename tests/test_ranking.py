"""The order of trials with one and with several objectives, and the Pareto front beside a slow way to find it."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hpo.ranking import Direction, is_whole, pareto_front, rank_key

BOTH: tuple[Direction, ...] = ("maximize", "minimize")


def dominated(point: list[float], other: list[float]) -> bool:
    """By the definition, with the first objective to maximize and the others to minimize."""
    a, b = ([-values[0], *values[1:]] for values in (point, other))
    return all(y <= x for x, y in zip(a, b, strict=True)) and any(y < x for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_the_front_is_what_nothing_dominates(objectives: int) -> None:
    draw = np.random.default_rng(objectives)
    goals: tuple[Direction, ...] = ("maximize", "minimize", "minimize")[:objectives]  # type: ignore[assignment]
    values = {number: draw.integers(0, 6, objectives).astype(float).tolist() for number in range(60)}
    front = pareto_front(values, goals)
    expected = {n for n, point in values.items() if not any(dominated(point, other) for other in values.values())}
    assert set(front) == expected
    assert len(front) == len(expected)
    firsts = [values[number][0] for number in front]
    assert firsts == sorted(firsts, reverse=True)


def test_further_objectives_decide_between_equal_ones_before_the_loss() -> None:
    trials = {0: ([0.9, 10.0], 0.1), 1: ([0.9, 5.0], 0.3), 2: ([0.8, 1.0], 0.0), 3: ([0.9, 5.0], 0.2)}
    order = sorted(trials, key=lambda n: rank_key(*trials[n], n, BOTH))
    assert order == [3, 1, 0, 2]
    assert order[0] in pareto_front({n: values for n, (values, _) in trials.items()}, BOTH)


def test_only_finite_values_of_all_objectives_are_ordered() -> None:
    assert is_whole([0.5, 3.0], BOTH)
    assert not is_whole([0.5], BOTH)
    assert not is_whole([0.5, math.inf], BOTH)
    assert not is_whole([None, 3.0], BOTH)
