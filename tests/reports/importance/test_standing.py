"""Standings: trials of unequal length are compared at the epoch where the shorter one ended."""

import math

import pytest
from optuna.trial import TrialState, create_trial

from hpo.endings import Ended, Ending
from hpo.reports.importance.standing import tiers
from hpo.reports.trials import trial_row
from tests.reports.factory import DROPOUT, cut


def made(number, curve, ended=None):
    """A trial with these values from epoch 1 on; `ended`: pruned."""
    state = TrialState.COMPLETE if ended is None else TrialState.PRUNED
    one = create_trial(
        state=state,
        value=curve[-1] if curve else None,
        params={"dropout.p": 0.1},
        distributions={"dropout.p": DROPOUT},
        intermediate_values=dict(enumerate(curve, start=1)),
        user_attrs=(ended or Ended(why=Ending.FINISHED)).attributes(),
    )
    one.number = number
    return trial_row(one)


def pruned(epoch):
    return Ended(why=Ending.PRUNED, detail="median", epoch=epoch)


def order(*trials, minimized=False, last=True):
    return [[trial.number for trial in tier] for tier in tiers(trials, minimized=minimized, last=last)]


def test_a_pruned_trial_stands_where_it_stood_when_it_ended():
    finished = [made(0, [1, 2, 3]), made(1, [3, 4, 5]), made(2, [5, 6, 9])]
    assert order(*finished, made(3, [4], pruned(1))) == [[0], [1], [3], [2]]
    assert order(*finished, made(3, [0, 1], pruned(2))) == [[3], [0], [1], [2]]
    assert order(*finished, made(3, [9], pruned(1))) == [[0], [1], [2], [3]]


def test_less_may_be_better():
    finished = [made(0, [3, 1]), made(1, [6, 5])]
    assert order(*finished, made(2, [5], pruned(1)), minimized=True) == [[1], [2], [0]]


def test_the_best_so_far_counts_where_the_best_epoch_does():
    finished = [made(0, [5, 5]), made(1, [7, 7])]
    short = made(2, [9, 0], pruned(2))
    assert order(*finished, short, last=True) == [[2], [0], [1]]
    assert order(*finished, short, last=False) == [[0], [1], [2]]


def test_later_ends_come_first_so_that_earlier_ones_are_compared_with_them_too():
    finished = [made(0, [5, 6, 7])]
    middle, early = made(1, [3, 4], pruned(2)), made(2, [4], pruned(1))
    assert order(*finished, early, middle) == [[1], [2], [0]]


def test_equal_values_stand_together_and_ties_at_an_epoch_fall_between():
    assert order(made(0, [1, 2]), made(1, [1, 2]), made(2, [1, 3])) == [[0, 1], [2]]
    tied = order(made(0, [1, 2]), made(1, [1, 3]), made(2, [1], pruned(1)))
    assert tied == [[0], [2], [1]]


def test_a_diverged_trial_is_last_whatever_it_was_before():
    lost = made(2, [9, 9], Ended(why=Ending.DIVERGED, epoch=3))
    assert order(made(0, [1, 2]), made(1, [2, 3]), lost) == [[2], [0], [1]]


def test_what_was_never_measured_or_compared_is_left_out():
    whole = made(0, [1, 2])
    assert order(whole, made(1, [], pruned(0))) == [[0]]
    assert order(whole, made(1, [math.inf])) == [[0]]
    assert order(whole, made(1, [1, 2, 3], cut(9, 3))) == [[0]], "no other trial got as far"
    assert order(whole, made(1, [3], cut(9, 1))) == [[0], [1]]


def test_a_pruned_trial_that_nothing_can_be_compared_with_is_worse_than_what_went_on():
    assert order(made(0, [1, 2]), made(1, [5, 5, 5], pruned(3))) == [[1], [0]]


@pytest.mark.parametrize("minimized", [True, False])
def test_no_finished_trials_no_order(minimized):
    assert order(made(0, [], pruned(0)), minimized=minimized) == []
