"""Of each wave the best go on, once all of it have trained for as many epochs."""

from __future__ import annotations

import pytest
from optuna.trial import FrozenTrial

from hpo.search.pruning.waves import Waves
from tests.search.test_promotion import STUDY, finished, lost, paused, trial

VALUES = [0.1, 0.4, 0.3, 0.2]


def waves(trials: list[FrozenTrial]) -> Waves:
    found = Waves(STUDY, (1, 5), wave=4, best=2)
    found.read(trials)
    return found


def numbers(found: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in found]


def test_nobody_goes_on_before_the_wave_has_arrived_and_then_its_best() -> None:
    first = [paused(number, [value]) for number, value in enumerate(VALUES[:3])]
    assert numbers(waves([*first, trial(3, [])]).promotable(last=False)) == []
    now = waves([*first, trial(3, [VALUES[3]])])
    assert numbers(now.promotable(last=False)) == [1, 2]
    assert not now.goes_on(trial(3, [VALUES[3]]))
    best = trial(3, [0.9])
    now = waves([*first, best])
    assert now.goes_on(best)
    assert numbers(now.promotable(last=False)) == [1]


def test_each_wave_has_its_best_whatever_others_reached() -> None:
    better = [finished(n, [0.9] * 5) if n in (1, 2) else paused(n, [value]) for n, value in enumerate(VALUES)]
    second = [paused(4 + n, [value / 10]) for n, value in enumerate(VALUES)]
    assert numbers(waves([*better, *second]).promotable(last=False)) == [5, 6]


def test_a_lost_trial_has_arrived_and_leaves_its_place_to_the_next() -> None:
    trials = [paused(0, [0.1]), lost(1, [0.4, 0.5]), paused(2, [0.3]), lost(3, [])]
    assert numbers(waves(trials).promotable(last=False)) == [2, 0]


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (2, [1, 0]), (3, [1, 2]), (5, [4])])
def test_at_the_end_the_best_of_a_wave_that_is_not_full_go_on(count: int, expected: list[int]) -> None:
    values = [*VALUES, 0.05]
    gone = (1, 2) if count == 5 else ()
    trials = [finished(n, [0.9] * 5) if n in gone else paused(n, [values[n]]) for n in range(count)]
    assert numbers(waves(trials).promotable(last=False)) == []
    assert numbers(waves(trials).promotable(last=True)) == expected
    assert numbers(waves([*trials, trial(count, [])]).promotable(last=True)) == []


def test_the_states_of_those_that_may_go_on_are_kept() -> None:
    trials = [paused(number, [value]) for number, value in enumerate([*VALUES, 0.7, 0.8, 0.6])]
    assert numbers(waves(trials).kept(most=1)) == [1, 2, 5, 4]
