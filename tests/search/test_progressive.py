"""Rungs open one by one, when the two highest rank trials differently."""

from __future__ import annotations

import random
from itertools import pairwise

import numpy as np
import pytest
from optuna.trial import FrozenTrial

from hpo.search.pruning.progressive import Progressive, noise
from tests.search.test_promotion import STUDY, finished, lost, paused, trial

RUNGS = (1, 2, 4, 8)


def progressive(trials: list[FrozenTrial], rungs: tuple[int, ...] = RUNGS) -> Progressive:
    found = Progressive(STUDY, rungs, factor=2)
    found.read(trials)
    return found


def numbers(found: list[FrozenTrial]) -> list[int]:
    return [trial.number for trial in found]


ALIKE = [paused(0, [0.1]), paused(1, [0.2]), paused(2, [0.3, 0.4]), paused(3, [0.4, 0.5])]
SWAPPED = [*ALIKE[:2], paused(2, [0.3, 0.6]), paused(3, [0.4, 0.5])]


def test_a_rung_stays_closed_while_the_two_below_rank_alike() -> None:
    now = progressive(ALIKE)
    assert now.highest == 2
    assert numbers(now.promotable(last=False)) == []
    assert not now.goes_on(ALIKE[3])


def test_a_swapped_rank_opens_the_next_rung() -> None:
    now = progressive(SWAPPED)
    assert now.highest == 4
    assert numbers(now.promotable(last=False)) == [2]
    assert now.goes_on(SWAPPED[2])


def test_an_open_rung_stays_open() -> None:
    two_beyond = [*ALIKE, paused(4, [0.5, 0.6, 0.7]), trial(5, [0.6, 0.7, 0.8])]
    assert progressive(two_beyond).highest == 4


def test_below_the_highest_open_rung_trials_go_on_as_by_promotion() -> None:
    assert numbers(progressive([*ALIKE, paused(4, [0.9]), paused(5, [0.8])]).promotable(last=False)) == [4, 5]


def test_lost_trials_and_those_that_ended_early_rank_nothing() -> None:
    assert progressive([*ALIKE, lost(4, [0.9, 0.9])]).highest == 2
    assert progressive([*ALIKE, finished(4, [0.9])]).highest == 2


def test_swaps_within_the_noise_open_nothing() -> None:
    """Trials 2 and 3 cross twice, 0.05 apart at the end; trials 0 and 1 are swapped, but were no further apart."""
    rungs = (3, 4, 8)
    others = [trial(0, [0.1, 0.2, 0.3, 0.4]), trial(2, [0.6, 0.5, 0.7, 0.65]), trial(3, [0.5, 0.6, 0.6, 0.7])]
    assert progressive([*others, trial(1, [0.0, 0.1, 0.26, 0.45])], rungs).highest == 4
    assert progressive([*others, trial(1, [0.0, 0.1, 0.20, 0.45])], rungs).highest == 8


def test_noise_is_a_percentile_over_curves_that_cross_twice() -> None:
    assert noise(np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.5], [9.0, 9.0, 9.0]])) == pytest.approx(0.5)
    assert noise(np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 0.0]])) == 0.0
    assert noise(np.empty((0, 3))) == 0.0
    rng = random.Random(1)
    curves = [[rng.random() for _ in range(6)] for _ in range(12)]
    apart = []
    for one in range(12):
        for other in range(one):
            signs = [a > b for a, b in zip(curves[one], curves[other], strict=True)]
            if sum(a != b for a, b in pairwise(signs)) >= 2:
                apart.append(abs(curves[one][-1] - curves[other][-1]))
    assert noise(np.array(curves)) == pytest.approx(np.percentile(apart, 90))


def test_at_the_end_the_best_trial_goes_on_to_its_last_epoch() -> None:
    assert numbers(progressive(ALIKE).promotable(last=True)) == [3]
    assert progressive([*ALIKE[:3], trial(3, [0.4, 0.5, 0.6])]).promotable(last=True) == []
    assert numbers(progressive([*ALIKE[:3], paused(3, [0.4, 0.5, 0.6, 0.6])]).promotable(last=True)) == [3]
    assert progressive([*ALIKE[:3], finished(3, [0.4, 0.5, *[0.6] * 6])]).promotable(last=True) == []
    longer = [*ALIKE[:2], finished(2, [0.3, 0.4, *[0.6] * 6]), paused(3, [0.4, 0.5])]
    assert numbers(progressive(longer).promotable(last=True)) == [3], "the study has got more trials"


def test_by_levels_lucky_epochs_open_nothing() -> None:
    """The last value of the third trial is the best by luck, its level is not."""
    trials = [paused(n, [0.1 * n] * 3) for n in range(3)]
    trials += [paused(3, [*[0.3] * 6, 0.5]), paused(4, [0.4] * 7)]
    for levels, highest in ((False, 14), (True, 7)):
        found = Progressive(STUDY, (3, 7, 14), factor=2, levels=levels)
        found.read(trials)
        assert found.highest == highest
