"""Importances find what matters, with conditional parameters and pruned trials, with intervals, or say why not.

The simulations draw at random: what they claim of a share of studies holds with a wide margin.
"""

import numpy as np
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState

from benchmarks.importances import figures, of_optuna, order_kept, ours, study, truths
from hpo.reports.importance import Roles, compute_importances
from hpo.reports.trials import trial_row
from tests.reports.factory import DECAY, DROPOUT, OPTIMIZER, RATE, trial


def rows(count, value_of, pruned_below=None, seed=3):
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        params = {
            "optimizer.learning_rate": float(10 ** rng.uniform(-4, 0)),
            "dropout.p": float(rng.uniform(0, 0.6)),
            "optimizer.name": str(rng.choice(OPTIMIZER.choices)),
        }
        distributions = {"optimizer.learning_rate": RATE, "dropout.p": DROPOUT, "optimizer.name": OPTIMIZER}
        if params["optimizer.name"] == "adamw":
            params["optimizer.weight_decay"] = float(10 ** rng.uniform(-6, -1))
            distributions["optimizer.weight_decay"] = DECAY
        value = value_of(params)
        pruned = pruned_below is not None and value < pruned_below
        state = TrialState.PRUNED if pruned else TrialState.COMPLETE
        made.append(trial_row(trial(number, value, params, distributions, state=state)))
    return made


def by_rate(params):
    return 1.0 - abs(np.log10(params["optimizer.learning_rate"]) + 2.0) / 4.0


@pytest.mark.parametrize("pruned_below", [None, 0.8])
def test_the_parameter_that_decides_comes_first(pruned_below):
    found = compute_importances(rows(80, by_rate, pruned_below), minimized=False)
    first, *others = found.rows
    assert first.name == "optimizer.learning_rate"
    assert 0.9 < first.share <= 1.0
    assert {row.name for row in others} >= {"dropout.p", "optimizer.weight_decay"}
    assert all(0.0 <= row.low <= row.share <= row.high <= 1.0 for row in found.rows)


def test_the_direction_counts():
    found = compute_importances(rows(80, lambda params: -by_rate(params)), minimized=True)
    assert found.rows[0].name == "optimizer.learning_rate"
    assert found.rows[0].share > 0.9


def test_the_same_trials_give_the_same_importances():
    assert compute_importances(rows(40, by_rate), minimized=False) == compute_importances(
        rows(40, by_rate), minimized=False
    )


def test_why_importances_cannot_be_told():
    few = compute_importances(rows(9, by_rate), minimized=False)
    assert few.rows == ()
    assert "at least 10 finished trials, and this study has 9" in few.note
    assert "same value" in compute_importances(rows(30, lambda _: 0.5), minimized=False).note
    assert "this study has 0" in compute_importances(rows(30, by_rate, pruned_below=2.0), minimized=False).note


def test_a_parameter_that_did_not_vary_has_no_importance():
    constant = FloatDistribution(0.5, 0.5)
    made = [
        trial_row(trial(i, i / 40, {"dropout.p": i / 80, "x": 0.5}, {"dropout.p": DROPOUT, "x": constant}))
        for i in range(40)
    ]
    assert [row.name for row in compute_importances(made, minimized=False).rows] == ["dropout.p"]
    alone = [trial_row(trial(i, i / 40, {"x": 0.5}, {"x": constant})) for i in range(40)]
    assert "no parameter was varied" in compute_importances(alone, minimized=False).note


def test_a_conditional_parameter_says_what_share_of_trials_it_applies_to():
    made = rows(90, by_rate)
    owners = sum("optimizer.weight_decay" in row.params for row in made)
    row = next(row for row in compute_importances(made, minimized=False).rows if row.name == "optimizer.weight_decay")
    assert (row.trials, row.applies_to) == (owners, owners / 90)


def test_an_idle_parameter_of_an_option_that_decides_gets_nothing():
    """What sets adamw apart belongs to the choice."""
    rng = np.random.default_rng(0)
    made = rows(100, lambda params: (params["optimizer.name"] == "adamw") + 0.1 * rng.standard_normal())
    shares = dict(compute_importances(made, minimized=False).shares)
    assert shares["optimizer.name"] > 0.5
    assert shares["optimizer.weight_decay"] < 0.05


def test_a_parameter_that_a_sampler_moved_along_gets_no_credit():
    """Later trials have better rates and, for no reason, less dropout."""
    rng = np.random.default_rng(0)
    made = []
    for number in range(120):
        near = number / 120
        params = {
            "optimizer.learning_rate": float(10 ** (-2 + (1 - near) * rng.uniform(-2, 2))),
            "dropout.p": float(rng.uniform(0, 0.6) * (1 - 0.7 * near)),
        }
        value = by_rate(params) + 0.02 * rng.standard_normal()
        made.append(trial_row(trial(number, value, params, {"optimizer.learning_rate": RATE, "dropout.p": DROPOUT})))
    found = {row.name: row for row in compute_importances(made, minimized=False).rows}
    assert found["optimizer.learning_rate"].share > 0.5
    assert found["dropout.p"].share < 0.05


def test_where_nothing_matters_the_note_says_so():
    rng = np.random.default_rng(1)
    found = compute_importances(rows(60, lambda _: float(rng.random())), minimized=False)
    assert "No parameter by itself explains more than chance would" in found.note
    assert "chance would" not in compute_importances(rows(60, by_rate), minimized=False).note


def test_known_truth():
    """The small form of `python -m benchmarks.importances`."""
    truth = truths(100_000)
    made = figures(range(12), 200, truth)
    assert made.order > 0.9
    assert made.covered > 0.85
    assert made.claimed < 0.15
    assert made.pair_found > 0.7
    assert made.pair_claimed < 0.3


def test_the_order_is_better_than_that_of_other_methods():
    import optuna

    truth, trials = truths(100_000), study(0, 200)[0]
    other = order_kept(of_optuna(optuna.importance.PedAnovaImportanceEvaluator(), trials), truth)
    assert order_kept(dict(ours(trials).shares), truth) > other


def test_the_pair_that_works_together_has_a_heat_map():
    found = ours(study(3, 300)[0])
    assert set(found.pairs[0].names) == {"norm.kind", "optimizer.learning_rate"}
    heat = found.heat_maps[0]
    assert heat.names == found.pairs[0].names
    kinds = heat.columns if heat.names[0] == "norm.kind" else heat.rows
    assert kinds == ("none", "batch", "layer")
    assert sum(cell.trials for line in heat.cells for cell in line) == 300


def test_isolation_plots_follow_the_study_file():
    made = rows(80, by_rate)
    best_first = sorted(made, key=lambda row: -row.value)
    chosen = Roles(scientific=("optimizer.name",), nuisance=("optimizer.learning_rate",))
    found = compute_importances(made, minimized=False, best_first=best_first, roles=chosen)
    assert [plot.name for plot in found.isolations] == ["optimizer.name"]
    assert found.order[0] == "optimizer.name"
    assert found.order[-1] == "optimizer.learning_rate"
    for value in found.isolations[0].values:
        held = [row for row in made if row.params["optimizer.name"] == value.label]
        assert (value.trials, value.best) == (len(held), max(row.value for row in held))
        assert value.low <= value.best <= value.high
    freely = compute_importances(made, minimized=False, best_first=best_first)
    assert freely.isolations[0].name == "optimizer.learning_rate"
    assert freely.isolations[0].values[0].label.startswith("0.0001")


def test_fixed_parameters_are_held_at_the_winner():
    made = rows(80, by_rate)
    best_first = sorted(made, key=lambda row: -row.value)
    roles = Roles(scientific=("dropout.p",), fixed=("optimizer.name",))
    found = compute_importances(made, minimized=False, best_first=best_first, roles=roles)
    same = [row for row in made if row.params["optimizer.name"] == best_first[0].params["optimizer.name"]]
    assert sum(value.trials for value in found.isolations[0].values) == len(same)


def test_noise_of_scores_widens_the_interval():
    made = rows(60, by_rate)
    best_first = sorted(made, key=lambda row: -row.value)

    def high(error):
        found = compute_importances(made, minimized=False, best_first=best_first, error=error)
        return found.isolations[0].values[0].high

    assert high(0.1) > high(0.0) + 0.1


def test_a_hundred_parameters_of_few_trials_are_no_trouble():
    rng = np.random.default_rng(0)
    names = [f"p{i}" for i in range(100)]
    made = [
        trial_row(
            trial(i, float(rng.random()), {n: float(rng.random()) * 0.6 for n in names}, dict.fromkeys(names, DROPOUT))
        )
        for i in range(30)
    ]
    assert len(compute_importances(made, minimized=False).rows) == 100


def test_a_trial_of_another_client_without_a_curve_counts_by_its_value():
    made = [trial_row(one) for one in study(1, 60)[0]]
    bare = trial_row(trial(60, 9.0, dict(made[0].params), dict(made[0].distributions)))
    assert compute_importances([*made, bare], minimized=False).trials == 61
