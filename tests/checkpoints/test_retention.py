"""Which checkpoints of ended trials are kept."""

from __future__ import annotations

from hpo.checkpoints.retention import best_trials, trials_with_ends, worth_keeping
from hpo.runtime.session import Session
from tests.checkpoints.ended import ask, cut, fail, finish


def test_the_best_trials_keep_their_weights_the_best_first(session: Session) -> None:
    trials = ask(session, 4)
    for trial, value in zip(trials, (0.5, 0.9, 0.7), strict=False):
        finish(session, trial, value)
    assert [trial.number for trial in best_trials(session.checkpoints)] == [1, 2], "the fourth one still runs"


def test_a_cut_trial_is_behind_those_that_finished(session: Session) -> None:
    first, second, third = ask(session, 3)
    cut(session, first, 0.9)
    finish(session, second, 0.1)
    assert [trial.number for trial in best_trials(session.checkpoints)] == [1, 0]
    finish(session, third, 0.2)
    assert [trial.number for trial in best_trials(session.checkpoints)] == [2, 1]


def test_of_trials_that_have_just_ended_the_best_are_worth_keeping(session: Session) -> None:
    trials = ask(session, 4)
    for trial, value in zip(trials, (0.5, 0.9, 0.7), strict=False):
        finish(session, trial, value)
    fail(session, trials[3])
    assert worth_keeping(session.checkpoints, {0, 2, 3}) == {2}, "trial 1 has its weights already"
    assert worth_keeping(session.checkpoints, set()) == set()


def test_last_states_of_the_best_and_of_all_cut_trials_are_kept(session: Session) -> None:
    trials = ask(session, 7)
    for trial, value in zip(trials, (0.5, 0.9, 0.7), strict=False):
        finish(session, trial, value)
    cut(session, trials[3], 0.1)
    cut(session, trials[4], 0.2)
    fail(session, trials[5])
    kept = trials_with_ends(session.checkpoints)
    assert kept.keys() == {1, 2, 3, 4}
    assert all(trial.number == number for number, trial in kept.items())
