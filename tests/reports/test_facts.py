"""Facts computed from trials: counts, ranking, winner, history."""

from optuna.trial import TrialState

from tests.reports import factory
from tests.reports.factory import small, trial


def test_counts_follow_the_states():
    report = small(
        [
            trial(0, 0.9),
            trial(1, 0.5, state=TrialState.PRUNED),
            trial(2, None, state=TrialState.FAIL),
            trial(3, None, state=TrialState.RUNNING),
            trial(4, 0.8),
        ]
    )
    counts = report.counts
    assert (counts.finished, counts.pruned, counts.failed, counts.running) == (2, 1, 1, 1)
    assert counts.ended == 4


def test_trials_are_ordered_by_number_and_pruned_ones_carry_their_last_report():
    report = small([trial(1, 0.4, state=TrialState.PRUNED), trial(0, 0.9)])
    assert [(t.number, t.value) for t in report.trials] == [(0, 0.9), (1, 0.4)]


def test_the_winner_is_the_best_finished_trial_and_the_earliest_of_equals():
    report = small([trial(0, 0.7), trial(1, 0.9), trial(2, 0.9), trial(3, 0.95, state=TrialState.PRUNED)])
    assert report.winner is not None
    assert report.winner.number == 1
    assert [t.number for t in report.top] == [1, 2, 0]


def test_less_is_better_for_a_loss():
    report = small([trial(0, 0.7), trial(1, 0.2), trial(2, 0.4)], objective="loss")
    assert report.direction == "minimize"
    assert report.winner is not None
    assert report.winner.number == 1
    assert [p.best for p in report.history] == [0.7, 0.2, 0.2]


def test_the_recorded_winner_stands_among_equals_and_brings_its_test_score():
    report = small([trial(0, 0.9), trial(1, 0.9)], winner_number=1, test={"accuracy": 0.88})
    assert report.winner is not None
    assert report.winner.number == 1
    assert report.test == {"accuracy": 0.88}


def test_a_test_score_of_an_overtaken_winner_is_not_shown_as_the_new_one():
    report = small([trial(0, 0.9), trial(1, 0.95)], winner_number=0, test={"accuracy": 0.88})
    assert report.winner is not None
    assert report.winner.number == 1
    assert report.test == {}
    assert any("trial 0" in caution and "trial 1" in caution for caution in report.cautions)


def test_history_only_finished_trials_can_be_best():
    report = small(
        [
            trial(0, 0.99, state=TrialState.PRUNED),
            trial(1, None, state=TrialState.FAIL),
            trial(2, 0.5),
            trial(3, 0.4),
            trial(4, None, state=TrialState.RUNNING),
        ]
    )
    assert [(p.number, p.value, p.best) for p in report.history] == [
        (0, 0.99, None),
        (1, None, None),
        (2, 0.5, 0.5),
        (3, 0.4, 0.5),
    ]


def test_effort():
    report = small([trial(0, 0.9, epochs=10), trial(1, 0.8, epochs=3)])
    assert report.epochs_spent == 13
    assert not report.shared


def test_a_study_without_trials():
    report = small([])
    assert report.winner is None
    assert report.history == ()
    assert report.parameters == ()


def test_parameters_are_the_union_over_trials():
    report = factory.study(40)
    assert "optimizer.momentum" in report.parameters
    assert "optimizer.weight_decay" in report.parameters
    assert list(report.parameters) == sorted(report.parameters)
