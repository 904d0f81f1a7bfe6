"""Each warning appears where it must and nowhere else, for every objective, direction, rule of epochs and split."""

import math

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from hpo.endings import Ended, Ending
from hpo.reports.checks.search.edges import edge_of
from hpo.reports.checks.training.improving import rises
from hpo.reports.comparison.rows import comparison_row
from hpo.reports.health import Verdict
from hpo.reports.trials import trial_row
from tests.reports.factory import RATE, balance, cut, failed, small, trial


def edge(value, distribution, name="x"):
    return edge_of(trial_row(trial(0, 0.9, {name: value}, {name: distribution})), name)


@pytest.mark.parametrize(
    ("value", "distribution", "side"),
    [
        (0.95, RATE, "upper"),
        (0.5, RATE, None),  # in the middle of the highest decade, though at half of the linear range
        (1.2e-4, RATE, "lower"),
        (3e-4, RATE, None),
        (0.59, FloatDistribution(0.0, 0.6), "upper"),
        (0.0, FloatDistribution(0.0, 0.6), None),  # a share cannot be less than 0
        (-0.99, FloatDistribution(-1.0, 1.0), "lower"),
        (1, IntDistribution(1, 8), None),  # a count cannot be less than 1
        (16, IntDistribution(16, 256, log=True), "lower"),
        (8, IntDistribution(1, 8), "upper"),
        (0.5, FloatDistribution(0.5, 0.5), None),
        ("a", CategoricalDistribution(("a", "b")), None),
    ],
)
def test_edges_of_ranges(value, distribution, side):
    assert edge(value, distribution) == side


@pytest.mark.parametrize(
    ("name", "value", "distribution", "side"),
    [
        ("optimizer.momentum", 0.985, FloatDistribution(0.0, 0.99), None),  # momentum is below 1: no room beyond
        ("optimizer.momentum", 0.89, FloatDistribution(0.0, 0.9), "upper"),
        ("optimizer.sgd.momentum", 0.985, FloatDistribution(0.0, 0.99), None),  # an option's label in its name
        ("dropout.p", 0.001, FloatDistribution(0.0, 0.6), None),
        ("init.value", 0.001, FloatDistribution(0.0, 0.6), "lower"),  # a constant may be negative
        ("optimizer.learning_rate", 1.1e-4, RATE, "lower"),  # a logarithmic range can always go lower
        ("norm.momentum", 0.99, FloatDistribution(0.1, 1.0, log=True), None),
        ("training.early_stopping.patience", 1, IntDistribution(1, 30), None),
        ("model.arguments.depth", 1, IntDistribution(1, 30), None),
        ("model.arguments.shift", -1.0, FloatDistribution(-1.0, 1.0), "lower"),
    ],
)
def test_an_edge_beyond_which_a_parameter_has_no_values_is_no_finding(name, value, distribution, side):
    assert edge(value, distribution, name) == side


def said(report, words):
    return [caution for caution in report.cautions if words in caution]


def test_the_edge_warning_names_the_parameter_the_range_and_the_company():
    trials = [trial(0, 0.99, {"optimizer.learning_rate": 0.97}, {"optimizer.learning_rate": RATE})]
    trials += [
        trial(i, 0.9 - 0.01 * i, {"optimizer.learning_rate": rate}, {"optimizer.learning_rate": RATE})
        for i, rate in enumerate([0.99, 0.9, 0.01], start=1)
    ]
    (caution,) = said(small(trials), "edge of its range")
    assert "optimizer.learning_rate = 0.97" in caution
    assert "upper edge of its range 0.0001 to 1 (so do 2 of the next 3 best)" in caution


def test_failures_give_the_first_reason():
    report = small([trial(0, 0.9), trial(1, None, state=TrialState.FAIL, ended=failed("boom"), epochs=0)])
    assert said(report, "1 trial of 2 failed; the first, trial 1: failed: boom")


GONE = {"state": TrialState.PRUNED, "ended": Ended(why=Ending.DIVERGED, epoch=2)}


def test_many_divergences_are_a_finding_and_one_is_not():
    few = [trial(0, 0.9), trial(1, 0.8), trial(2, 0.1, **GONE)]
    assert not said(small(few), "diverged")
    assert said(small([*few, trial(3, 0.1, **GONE)]), "2 of 4 trials diverged (50 %)")


@pytest.mark.parametrize(("diverged", "advised"), [(0.9, True), (0.0002, False)])
def test_a_lower_learning_rate_is_advised_where_high_ones_diverged(diverged, advised):
    space = {"optimizer.learning_rate": RATE}
    trials = [trial(i, 0.9, {"optimizer.learning_rate": 0.01}, space) for i in range(2)]
    trials += [trial(i, 0.1, {"optimizer.learning_rate": diverged}, space, **GONE) for i in (2, 3)]
    assert bool(said(small(trials), "A lower highest learning rate")) == advised
    assert said(small(trials), "2 of 4 trials diverged")


def test_a_fixed_learning_rate_is_not_advised_about():
    assert not said(small([trial(0, 0.9), trial(1, 0.1, **GONE), trial(2, 0.1, **GONE)]), "learning rate")


@pytest.mark.parametrize("objective", ["r2", None])
def test_an_undefined_objective_is_not_blamed_on_the_learning_rate(objective):
    gone = {"state": TrialState.PRUNED, "ended": Ended(why=Ending.UNDEFINED, detail=objective, epoch=1)}
    report = small([trial(number, None, **gone) for number in range(3)], objective="r2")
    assert said(report, "3 trials of 3 ended because R² is undefined on their validation part")
    assert not said(report, "learning rate")
    assert not said(report, "diverged")


def test_an_undefined_test_score_is_a_finding():
    report = small([trial(0, 0.9)], objective="r2", winner_number=0, test={"r2": None, "rmse": 1.0})
    assert said(report, "The test R² is undefined")
    assert not said(small([trial(0, 0.9)], objective="r2", winner_number=0, test={"r2": 0.5}), "undefined")


def test_an_infinite_value_never_wins():
    report = small([trial(0, math.inf), trial(1, 0.5), trial(2, -math.inf)], objective="r2")
    assert report.winner is not None
    assert report.winner.number == 1
    assert [point.best for point in report.history] == [None, 0.5, 0.5]
    assert comparison_row(report)["median"] == 0.5


def test_no_winner_and_running():
    report = small([trial(0, None, state=TrialState.RUNNING), trial(1, None, state=TrialState.FAIL, epochs=0)])
    assert said(report, "No trial has finished, so there is no winner. The reasons stand in trials.csv")
    assert said(report, "1 trial has not ended")


def test_no_reasons_are_promised_where_no_trial_has_ended():
    assert not said(small([trial(0, None, state=TrialState.RUNNING)]), "reasons")


def test_few_trials():
    assert said(small([trial(i, 0.5 + 0.01 * i) for i in range(19)]), "Only 19 trials finished")
    assert not said(small([trial(i, 0.5 + 0.01 * i) for i in range(20)]), "trials finished:")


SPEC = """
[study]
name = "digits"
[data]
dataset = "digits"
[model]
family = "mlp"
[optimizer]
name = "sgd"
learning_rate = {rate}
[search]
trials = 4
{more}
"""


def spec(more="", rate="{ low = 1e-3, high = 1e-1, log = true }"):
    return SPEC.replace("{more}", more).replace("{rate}", rate)


@pytest.mark.parametrize(
    ("changes", "way"),
    [
        ({"facts": {"budget": 4}}, "Raise `search.trials` and run the study again."),
        ({"max_trials": 4, "submitted_at": 1}, "Raise `search.trials` and submit the study again."),
        ({"facts": {"budget": 9}}, "more trials."),  # it has not had its trials yet
        ({"spec_text": spec("wall_seconds = 9"), "wall_seconds": 9.5}, "Raise `search.wall_seconds` and run"),
        ({"submitted_at": 1, "max_epochs": 40, "epochs_spent": 40}, "Raise `search.epochs` and submit"),
    ],
)
def test_the_way_to_more_trials_is_one_that_works(changes, way):
    (caution,) = said(small([trial(i, 0.5 + 0.01 * i) for i in range(4)], **changes), "Only 4 trials finished")
    assert caution.endswith(way) or way in caution
    assert ("Raise" in caution) == ("Raise" in way)


def test_a_grid_is_not_told_to_have_more_trials():
    grid = spec('sampler = "grid"', rate="{ choice = [0.1, 0.2] }")
    rising = [trial(i, 0.5 + 0.01 * i) for i in range(25)]
    assert not said(small(rising[:4], spec_text=grid), "Only 4")
    assert said(small(rising, spec_text=spec(), objective="r2"), "came late")
    assert not said(small(rising, spec_text=grid, objective="r2"), "came late")


RISING = [1 - 0.9**k for k in range(1, 21)]
FLAT_SINCE_2 = [0.5] + [0.9] * 19
WOBBLING = [0.9 + 0.01 * math.sin(7 * k) for k in range(20)]


@pytest.mark.parametrize(
    ("curve", "improving"),
    [
        (RISING, True),
        (FLAT_SINCE_2, False),
        (WOBBLING, False),
        (RISING[:12] + [RISING[11]] * 8, False),
        ([0.9] * 19 + [0.901], False),  # one lucky epoch is no trend
        (RISING[:4], True),
        (RISING[:3], False),  # three epochs are too few to tell a trend from chance
        ([], False),
    ],
)
def test_whether_a_curve_still_rises(curve, improving):
    assert rises(tuple(curve)) == improving


@pytest.mark.parametrize("best_epoch", [20, 2])  # of `epoch = "last"` and of `epoch = "best"`
@pytest.mark.parametrize(("curve", "improving"), [(RISING, True), (FLAT_SINCE_2, False)])
@pytest.mark.parametrize("objective", ["accuracy", "loss"])
@pytest.mark.parametrize("replicas", [1, 3])
def test_still_improving_is_read_off_the_curve(best_epoch, curve, improving, objective, replicas):
    turned = [-value for value in curve] if objective == "loss" else curve
    winner = trial(0, turned[-1], epochs=20, best_epoch=best_epoch)
    report = small([winner], curve=turned, objective=objective, replicas=replicas)
    assert bool(said(report, "still improving at its last epoch (20)")) == improving


def test_what_lets_a_winner_go_on():
    def told(**changes):
        return said(small([trial(0, 0.9, epochs=20, **changes.pop("trial", {}))], curve=RISING, **changes), "still")

    (alone,) = told()
    assert alone.endswith("`hpo submit studies/digits.toml`, then `hpo extend digits --epochs N` lets it go on.")
    (served,) = told(submitted_at=1)
    assert served.endswith("`hpo extend digits --epochs N` lets it go on.")
    (spent,) = told(trial={"ended": cut(20, 20)})
    assert spent.endswith("budget of 20 epochs was spent at epoch 20. A larger budget may do better.")
    assert not told(trial={"ended": Ended(why=Ending.STOPPED_EARLY, epoch=20)})


def test_found_late():
    rising = [trial(i, 0.5 + 0.01 * i) for i in range(20)]
    assert said(small(rising, balance=balance([5000, 5000])), "came late (trial 19 of 20)")
    assert not said(small([trial(i, 0.9 - 0.01 * i) for i in range(20)]), "came late")


def test_a_late_winner_within_the_noise_is_no_finding():
    level = [trial(i, 0.9 + 1e-4 * i) for i in range(20)]
    assert not said(small(level), "came late")
    assert said(small(level, objective="r2"), "came late"), "the noise is not known"


def test_values_within_the_noise_of_the_validation_part():
    near = [trial(0, 0.97), trial(1, 0.968), trial(2, 0.8)]
    (caution,) = said(small(near), "2 finished trials lie within one standard error")
    assert "355 validation examples" in caution
    assert "Folds (`data.folds`)" in caution
    assert not said(small([trial(0, 0.97), trial(1, 0.8)]), "standard error")
    assert said(small([trial(0, 0.5), trial(1, 0.5)], objective="rmse"), "2 finished trials share the best value")


@pytest.mark.parametrize("objective", ["accuracy", "balanced_accuracy", "auroc"])
@pytest.mark.parametrize("typed", [True, False])
@pytest.mark.parametrize("folds", [1, 5])
def test_the_number_of_examples_tells_the_noise_with_folds_too(objective, typed, folds):
    sizes = balance([40, 60], folds=folds, typed=typed)
    trials = [trial(0, 0.9), trial(1, 0.89), trial(2, 0.6)]
    (caution,) = said(small(trials, objective=objective, balance=sizes), "2 finished trials lie within")
    assert f"{100 * folds} validation examples" in caution
    assert not said(small([trials[0], trials[2]], objective=objective, balance=sizes), "standard error")


@pytest.mark.parametrize(("objective", "better"), [("rmse", -1), ("loss", -1), ("r2", 1), ("macro_f1", 1)])
@pytest.mark.parametrize("folds", [1, 4])
def test_the_spread_over_replicas_tells_the_noise_of_other_objectives(objective, better, folds):
    values = [0.5, 0.5 - better * 0.01, 0.5 - better * 0.2]
    trials = [trial(i, value, spread=0.1) for i, value in enumerate(values)]
    given = {"objective": objective, "balance": balance([10, 10], folds=folds)}
    (caution,) = said(small(trials, replicas=4, **given), "2 finished trials lie within one standard error (0.05,")
    over = "the spread over 4 folds" if folds > 1 else "the spread over 4 repeats alone"
    assert over in caution
    assert ("data.repeats" in caution) == (folds > 1), "advice is what the study does not do yet"
    without = [trial(i, value) for i, value in enumerate(values)]
    assert not said(small(without, **given), "standard error"), "nothing is known of the noise"


def test_repeats_add_the_luck_of_training_to_that_of_the_examples():
    trials = [trial(i, value, spread=0.1) for i, value in enumerate([0.9, 0.86, 0.5])]
    (caution,) = said(small(trials, replicas=2, balance=balance([40, 60])), "2 finished trials lie within")
    assert "from 100 validation examples and the spread over 2 repeats" in caution


def test_of_equal_winners_the_one_that_was_tested_is_named():
    equal = [trial(0, 0.5), trial(1, 0.5)]
    assert said(small(equal, objective="r2"), "the earliest of them is called the winner")
    tested = small(equal, objective="r2", winner_number=1, test={"r2": 0.5})
    assert said(tested, "trial 1, whose test score is known, is called the winner")


def test_a_test_score_far_below_the_validation_score():
    wide = {"winner_number": 0, "test": {"accuracy": 0.80}}
    assert said(small([trial(0, 0.97)], **wide), "lower than the validation score")
    assert not said(small([trial(0, 0.97)], winner_number=0, test={"accuracy": 0.96}), "lower than")


@pytest.mark.parametrize("objective", ["accuracy", "balanced_accuracy", "auroc"])
def test_the_gap_to_the_test_score_with_folds(objective):
    def gap(score):
        sizes = balance([100, 100], test=[100, 100], folds=3)
        return said(
            small([trial(0, 0.95)], objective=objective, balance=sizes, winner_number=0, test={objective: score}),
            "lower than the validation score (0.95) by more than chance explains",
        )

    assert gap(0.8)
    assert not gap(0.93)


def test_the_gap_of_an_error_is_upwards_and_known_from_folds_alone():
    def gap(score, folds, spread=0.1):
        return said(
            small(
                [trial(0, 1.0, spread=spread)],
                objective="rmse",
                balance=balance([50], test=[50], folds=folds),
                replicas=5,
                winner_number=0,
                test={"rmse": score},
            ),
            "higher than the validation score (1)",
        )

    assert gap(1.5, folds=5)
    assert not gap(1.2, folds=5)
    assert not gap(0.5, folds=5), "a better score is no gap"
    assert not gap(1.5, folds=1), "repeats know nothing of the luck of the examples"
    assert not gap(1.5, folds=5, spread=None)


def test_a_better_trial_that_did_not_finish_is_named():
    ended = {"state": TrialState.PRUNED, "ended": cut(9, 3)}
    found = [trial(0, 0.9), trial(1, 0.99, **ended), trial(2, 0.98, **ended)]
    (caution,) = said(small(found), "only finished trials can win")
    assert caution.startswith(
        "Trial 1 had reached 0.99, better than the winner, as did 1 more, when it ended (the study"
    )
    assert not said(small([trial(0, 0.9), trial(1, 0.905, **ended)]), "only finished"), "within the noise"
    assert not said(small([trial(0, 0.9), trial(1, 0.99, **GONE)]), "only finished"), "it diverged"
    assert said(small([trial(0, 0.9), trial(1, 0.1, **ended)], objective="loss"), "Trial 1 had reached 0.1")


def test_a_winner_on_the_edge_of_few_values_needs_company():
    few = {"norm.every": IntDistribution(2, 5)}

    def found(*values):
        trials = [trial(i, 0.9 - 0.01 * i, {"norm.every": value}, few) for i, value in enumerate(values)]
        return said(small(trials), "edge of its range")

    assert not found(5)
    assert not found(5, 2, 3, 4)
    assert found(5, 5, 3, 5)


def test_looks_at_the_test_part():
    assert said(small([trial(0, 0.9)], facts={"test_looks": [3, 0]}), "looked at 2 times, for the winners 3, 0")
    assert not said(small([trial(0, 0.9)], facts={"test_looks": [0]}), "looked at")


def test_rows_with_the_same_features():
    def found(**facts):
        trials = [trial(number, 0.9 - number / 100) for number in range(30)]
        (check,) = [one for one in small(trials, facts=facts).checks if one.code == "duplicates"]
        return check

    assert found().verdict is Verdict.PASS
    together = found(**{"repeated rows": 12})
    assert together.verdict is Verdict.PASS
    assert together.sentence == (
        "12 rows have the same features as an earlier row, and rows with the same features are in one part."
    )
    assert found(**{"repeated rows": 2, "conflicting rows": 2}).verdict is Verdict.WARN
    across = found(**{"repeated rows": 1, "conflicting rows": 2, "rows also trained on": 3})
    assert across.verdict is Verdict.WARN
    assert across.sentence == (
        "1 row has the same features as an earlier row; 3 rows to validate or test on have the features of a row to "
        "train on, and scores on them are better than on new data. 2 rows have the same features as a row with another "
        "target, which no model can tell apart."
    )
    assert found(**{"repeated rows": 90, "rows also trained on": 90}).verdict is Verdict.FAIL, "more than the noise"


def test_the_split_is_told_in_a_line():
    rows = balance([30, 10], test=[15, 5])
    assert small([trial(0, 0.9)], balance=rows).split.startswith("40 validation, 20 test; shares differ by at most 0 ")
    rows = balance([30, 10], folds=2)
    assert small([trial(0, 0.9)], balance=rows).split.startswith("40 validation (2 folds); shares")
    assert small([trial(0, 0.9)], balance=[]).split == ""
