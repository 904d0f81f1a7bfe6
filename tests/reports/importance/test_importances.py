"""Importances find the parameter that matters, with conditional parameters and pruned trials, or say why not.

The simulations draw at random: what they claim of a share of studies holds with a wide margin.
"""

import re
from collections import Counter

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from hpo.reports.importance import best_group, compute_importances, explained_variance, grouped
from hpo.reports.trials import trial_row
from tests.reports.factory import DECAY, DROPOUT, OPTIMIZER, RATE, cut, trial


def rows(count, value_of, pruned_below=None):
    rng = np.random.default_rng(3)
    made = []
    for number in range(count):
        params = {
            "optimizer.learning_rate": float(10 ** rng.uniform(-4, 0)),
            "dropout.p": float(rng.uniform(0, 0.6)),
            "optimizer.name": str(rng.choice(OPTIMIZER.choices)),
        }
        distributions = {
            "optimizer.learning_rate": RATE,
            "dropout.p": DROPOUT,
            "optimizer.name": OPTIMIZER,
        }
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
    assert found.shares[0][0] == "optimizer.learning_rate"
    assert found.shares[0][1] > 0.5
    assert sum(share for _, share in found.shares) == pytest.approx(1.0)
    assert {name for name, _ in found.shares} >= {"dropout.p", "optimizer.weight_decay"}


def test_the_direction_counts():
    worst_is_best = compute_importances(rows(80, lambda params: -by_rate(params)), minimized=True)
    assert worst_is_best.shares[0][0] == "optimizer.learning_rate"


def test_the_same_trials_give_the_same_importances():
    assert compute_importances(rows(40, by_rate), minimized=False) == compute_importances(
        rows(40, by_rate), minimized=False
    )


def test_why_importances_cannot_be_told():
    few = compute_importances(rows(9, by_rate), minimized=False)
    assert few.shares == ()
    assert "at least 10 finished trials, and this study has 9" in few.note
    assert "same value" in compute_importances(rows(30, lambda _: 0.5), minimized=False).note
    pruned = compute_importances(rows(30, by_rate, pruned_below=2.0), minimized=False)
    assert pruned.shares == ()
    assert "this study has 0" in pruned.note


def test_one_parameter_has_nothing_to_be_compared_with():
    lone = [trial_row(trial(i, i / 20, {"dropout.p": i / 40}, {"dropout.p": DROPOUT})) for i in range(20)]
    assert "fewer than two were varied" in compute_importances(lone, minimized=False).note


def test_a_constant_parameter_is_not_one_to_compare_with_and_gets_nothing():
    constant = FloatDistribution(0.5, 0.5)

    def made(params):
        both = {"dropout.p": DROPOUT, "optimizer.learning_rate": RATE, "model.x": constant}
        return [
            trial_row(trial(i, i / 40, {**params(i), "model.x": 0.5}, {n: both[n] for n in (*params(i), "model.x")}))
            for i in range(40)
        ]

    assert (
        "fewer than two were varied" in compute_importances(made(lambda i: {"dropout.p": i / 80}), minimized=False).note
    )
    rng = np.random.default_rng(0)
    found = compute_importances(
        made(lambda i: {"dropout.p": i / 80, "optimizer.learning_rate": float(10 ** rng.uniform(-4, 0))}),
        minimized=False,
    )
    assert found.shares[0] == ("dropout.p", pytest.approx(1.0, abs=0.3))
    assert dict(found.shares)["model.x"] == 0.0


@pytest.mark.parametrize("minimized", [True, False])
def test_pruned_trials_do_not_tie_with_the_best(minimized):
    """Six finished trials of ten share the worst finished value, which pruned ones were given once."""
    rng = np.random.default_rng(1)
    made = []
    for i in range(40):
        params = {"dropout.p": float(rng.uniform(0, 0.6)), "optimizer.learning_rate": float(10 ** rng.uniform(-4, 0))}
        distributions = {"dropout.p": DROPOUT, "optimizer.learning_rate": RATE}
        value = (0.1 if minimized else 0.9) if i < 5 else 0.5
        if i < 5:
            params["dropout.p"] = 0.01 * (i + 1)
        state = TrialState.COMPLETE if i < 12 else TrialState.PRUNED
        made.append(trial_row(trial(i, value, params, distributions, state=state)))
    found = compute_importances(made, minimized=minimized)
    assert (found.best, found.others) == (5, 35)
    assert "the 5 best trials from the other 35" in found.note
    assert found.shares[0][0] == "dropout.p"


@pytest.mark.parametrize(
    ("values", "considered", "best"),
    [
        (range(40), 40, 8),
        ([1] * 7 + [2] * 33, 40, 7),  # equal values stay together
        ([1] * 3 + [2] * 3 + [3] * 34, 40, 6),
        ([1] * 9 + [2], 40, 9),
        ([1] * 30 + [2] * 10, 40, None),
        ([1] * 4 + [2] * 8, 12, None),
        (range(12), 12, 5),
    ],
)
def test_the_group_of_the_best(values, considered, best):
    assert best_group(list(values), considered) == best


def test_too_many_equal_values_at_the_top_are_said():
    made = rows(40, lambda params: min(0.7, by_rate(params)))
    note = compute_importances(made, minimized=False).note
    tied = sum(row.value == 0.7 for row in made)
    assert 20 < tied < 40
    assert f"{tied} of 40 trials share the best value" in note


def test_the_sizes_that_are_stated_are_those_compared():
    made = rows(60, lambda params: round(by_rate(params), 1), pruned_below=0.6)
    found = compute_importances(made, minimized=False)
    best, others = map(int, re.search(r"the (\d+) best trials from the other (\d+)", found.note).groups())
    assert best + others == 60
    ranked = sorted((row.value for row in made if row.state == "COMPLETE"), reverse=True)
    assert ranked[best - 1] > ranked[best], "no trial outside is as good as one inside"


def test_trials_that_a_budget_cut_are_no_evidence():
    made = rows(40, by_rate)
    more = [
        trial_row(
            trial(
                100 + i,
                0.9,
                dict(made[i].params),
                dict(made[i].distributions),
                state=TrialState.PRUNED,
                ended=cut(9, 1),
            )
        )
        for i in range(20)
    ]
    assert compute_importances([*made, *more], minimized=False) == compute_importances(made, minimized=False)


BRANCH = CategoricalDistribution(("a", "b", "c"))
UNIT = FloatDistribution(0.0, 1.0)


def simulated(seed, count, *, branch=0.0, inside=0.0, rate=0.0, pruned=0.5):
    """Random search over a branch, one parameter that only branch a has, and seven others."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        params = {"branch": str(rng.choice(BRANCH.choices)), "rate": float(10 ** rng.uniform(-4, 0))}
        params |= {"depth": int(rng.integers(1, 5))} | {f"idle{i}": float(rng.random()) for i in range(5)}
        value = 0.3 * rng.standard_normal() - rate * abs(np.log10(params["rate"]) + 2)
        if params["branch"] == "a":
            params["inside"] = float(rng.random())
            value += branch + inside * (1 - 4 * abs(params["inside"] - 0.5))
        made.append((float(value), params))
    worst = sorted(value for value, _ in made)[int(pruned * count)]
    ranges = {"branch": BRANCH, "rate": RATE, "depth": IntDistribution(1, 4)}
    return [
        trial_row(
            trial(
                number,
                value,
                params,
                {name: ranges.get(name, UNIT) for name in params},
                state=TrialState.COMPLETE if value >= worst else TrialState.PRUNED,
            )
        )
        for number, (value, params) in enumerate(made)
    ]


def first(count, studies=30, **effects):
    """How often each parameter came first; `-` where importances could not be told."""
    found = [compute_importances(simulated(seed, count, **effects), minimized=False) for seed in range(studies)]
    return Counter(one.shares[0][0] if one.shares else "-" for one in found)


@pytest.mark.parametrize("count", [40, 80])
@pytest.mark.parametrize("branch", [1.0, 3.0])
def test_an_idle_parameter_of_a_branch_that_matters_does_not_come_first(count, branch):
    found = first(count, branch=branch)
    assert found["inside"] == 0
    assert found["branch"] >= 27
    shares = [
        dict(compute_importances(simulated(seed, 80, branch=branch), minimized=False).shares) for seed in range(10)
    ]
    assert np.mean([share["inside"] for share in shares]) < 0.1


def test_a_parameter_of_a_branch_that_has_an_effect_comes_first():
    assert first(200, studies=10, inside=1.0)["inside"] >= 9


def test_a_parameter_with_an_effect_comes_first():
    assert first(100, rate=1.0)["rate"] >= 28


def test_importances_are_not_told_where_nothing_matters():
    assert first(60)["-"] >= 21


def test_what_is_explained_is_that_of_an_analysis_of_variance():
    """Two options of four trials each; three hits in the one, one in the other."""
    choice = CategoricalDistribution(("x", "y"))
    trials = [trial_row(trial(i, 0.5, {"c": "xy"[i // 4]}, {"c": choice})) for i in range(8)]
    part = explained_variance(trials, [True, True, True, False, True, False, False, False], "c")
    between, within = 0.5, 1.5
    assert part.amount == pytest.approx(between - within / 6)
    from scipy.stats import f_oneway

    assert part.chance == pytest.approx(f_oneway([1, 1, 1, 0], [1, 0, 0, 0]).pvalue)


def test_a_parameter_whose_trials_are_all_among_the_best_tells_nothing():
    trials = [trial_row(trial(i, 0.5, {"c": i / 20}, {"c": UNIT})) for i in range(20)]
    assert explained_variance(trials, [True] * 20, "c") is None
    assert explained_variance(trials[:1], [True], "c") is None


def test_groups_of_values():
    assert [len(group) for group in grouped([i / 40 for i in range(40)], [False] * 40)] == [8] * 5
    assert [len(group) for group in grouped([1, 1, 2, 3, 3, 3], [False] * 6)] == [2, 1, 3]
    assert [len(group) for group in grouped(["a", "b", "a"], [False] * 3)] == [2, 1]
    assert [len(group) for group in grouped([True, False, True], [False] * 3)] == [2, 1]
    assert sum(map(len, grouped([0.5] * 30 + [0.1, 0.2, 0.9, 0.8], [False] * 34))) == 34
