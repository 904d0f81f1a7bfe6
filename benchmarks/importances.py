"""Importances on simulated studies whose truth is known, beside those of Optuna: order, intervals, false claims.

    python -m benchmarks.importances [--studies 200] [--trials 60 100 200 500]

A space of eleven parameters: three belong to some options of a choice, six have no effect or hardly any, and one pair
works together. Half of the trials are pruned: at each of three rungs, the worst fifth of those that arrive there. The
truth is computed from 400,000 draws: the share of the variance of standings that the mean by value of one parameter
has, among the trials that have it. Intervals are compared with the truth for the values that the study drew.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from benchmarks.machine import processor
from hpo.endings import Ended, Ending
from hpo.reports.importance import Importances, compute_importances
from hpo.reports.trials import trial_row

Columns = dict[str, NDArray[Any]]

UNIT = FloatDistribution(0.0, 1.0)
SPACE: dict[str, BaseDistribution] = {
    "optimizer.learning_rate": FloatDistribution(1e-4, 1.0, log=True),
    "optimizer.name": CategoricalDistribution(("sgd", "adam", "adamw")),
    "optimizer.momentum": UNIT,
    "optimizer.weight_decay": UNIT,
    "norm.kind": CategoricalDistribution(("none", "batch", "layer")),
    "norm.placement": CategoricalDistribution(("before", "after")),
    "init.scheme": CategoricalDistribution(("small", "lecun", "xavier", "kaiming")),
    "dropout.p": UNIT,
    "model.layers": IntDistribution(1, 4),
    "idle.first": UNIT,
    "idle.second": UNIT,
}
OPTIONS = {name: of.choices for name, of in SPACE.items() if isinstance(of, CategoricalDistribution)}
RUNGS = (2, 6, 18)
EPOCHS = 30
BINS = 60
"""Ranges of a number's values in the truth."""


def drawn(random: np.random.Generator, count: int) -> tuple[Columns, Columns]:
    """Places of values, from 0 to 1 or the number of an option, and which trials have each parameter."""
    values: Columns = {}
    for name in SPACE:
        if name in OPTIONS:
            values[name] = random.integers(0, len(OPTIONS[name]), count)
        elif name == "model.layers":
            values[name] = random.integers(1, 5, count)
        else:
            values[name] = random.random(count)
    has = {name: np.ones(count, bool) for name in SPACE}
    has["optimizer.momentum"] = values["optimizer.name"] == 0
    has["optimizer.weight_decay"] = values["optimizer.name"] == 2
    has["norm.placement"] = values["norm.kind"] > 0
    return values, has


def scores(values: Columns, has: Columns, random: np.random.Generator) -> NDArray[np.float64]:
    """What each trial would reach, more being better."""
    rate, norm = values["optimizer.learning_rate"], values["norm.kind"]
    score = -3.0 * (rate - 0.55) ** 2 - 0.5 * (values["dropout.p"] - 0.3) ** 2
    score = score + np.array([0.0, 0.15, 0.05])[norm] + np.array([0.0, 0.0, 0.02, 0.04])[values["init.scheme"]]
    score += np.where(has["norm.placement"], 0.1 * values["norm.placement"], 0.0)
    score += np.where(has["optimizer.momentum"], 0.6 * values["optimizer.momentum"] ** 2, 0.2)
    score += np.where(norm == 0, -0.8 * (rate - 0.5), 0.0)
    noisy: NDArray[np.float64] = score + 0.15 * random.standard_normal(len(score))
    return noisy


@dataclass(frozen=True, kw_only=True, slots=True)
class Truth:
    """The effect of one parameter."""

    means: NDArray[np.float64]
    """By value: mean standing of the trials with it, less that of all trials that have the parameter."""
    share: float
    """Of the variance of standings."""


def places(name: str, column: NDArray[Any]) -> NDArray[np.intp]:
    """The value of each trial as an index of `Truth.means`."""
    if column.dtype.kind == "f":
        column = np.minimum(column * BINS, BINS - 1)
    found: NDArray[np.intp] = column.astype(np.intp)
    return found


def truths(count: int = 400_000) -> dict[str, Truth]:
    """The truth by parameter."""
    random = np.random.default_rng(9)
    values, has = drawn(random, count)
    score = scores(values, has, random)
    standing = np.searchsorted(np.sort(score), score) / count
    found = {}
    for name, column in values.items():
        where = places(name, column)[has[name]]
        counts = np.bincount(where)
        means = np.bincount(where, standing[has[name]]) / np.maximum(counts, 1) - standing[has[name]].mean()
        share = float(12 * has[name].mean() * (counts * means**2).sum() / counts.sum())
        found[name] = Truth(means=means, share=share if share > 1e-4 else 0.0)
    return found


def study(seed: int, count: int) -> tuple[list[FrozenTrial], Columns, Columns]:
    """The trials of a random search with pruning, and what `drawn` gave it."""
    random = np.random.default_rng(seed)
    values, has = drawn(random, count)
    ends = scores(values, has, random)
    curves = ends[:, None] - np.exp(-np.arange(1, EPOCHS + 1) / 6.0)
    last = np.full(count, EPOCHS)
    for rung in RUNGS:
        there = np.flatnonzero(last == EPOCHS)
        worse = there[np.argsort(curves[there, rung - 1])[: round(0.2 * len(there))]]
        last[worse] = rung
    trials = []
    for number in range(count):
        params = {name: valued(name, column[number]) for name, column in values.items() if has[name][number]}
        curve = {epoch: float(curves[number, epoch - 1]) for epoch in range(1, int(last[number]) + 1)}
        trials.append(frozen(number, params, curve))
    return trials, values, has


def valued(name: str, place: Any) -> Any:
    """The value of a parameter at a place of `drawn`."""
    if name in OPTIONS:
        return OPTIONS[name][int(place)]
    return int(place) if name == "model.layers" else float(10 ** (4 * place - 4)) if "rate" in name else float(place)


def frozen(number: int, params: dict[str, Any], curve: dict[int, float]) -> FrozenTrial:
    """An ended trial, pruned if it has fewer than all epochs."""
    whole = len(curve) == EPOCHS
    ended = Ended(why=Ending.FINISHED) if whole else Ended(why=Ending.PRUNED, detail="asha", epoch=len(curve))
    trial = create_trial(
        state=TrialState.COMPLETE if whole else TrialState.PRUNED,
        value=curve[len(curve)],
        params=params,
        distributions={name: SPACE[name] for name in params},
        intermediate_values=curve,
        user_attrs={**ended.attributes(), "epochs": len(curve)},
    )
    trial.number = number
    return trial


def ours(trials: list[FrozenTrial]) -> Importances:
    """The importances of a report."""
    return compute_importances([trial_row(trial) for trial in trials], minimized=False)


def of_optuna(evaluator: Any, trials: list[FrozenTrial]) -> dict[str, float]:
    """Importances as `optuna.importance` computes them. It leaves out parameters that only some trials have, unless
    they are named; then it leaves out the trials without them."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    made = optuna.create_study(direction="maximize")
    made.add_trials(trials)
    return dict(optuna.importance.get_param_importances(made, evaluator=evaluator))


def order_kept(shares: dict[str, float], truth: dict[str, Truth]) -> float:
    """Share of pairs of parameters in the true order, of those whose true shares are 0.02 apart."""
    pairs = [(better, worse) for better in truth for worse in truth if truth[better].share - truth[worse].share >= 0.02]
    return float(np.mean([shares.get(better, 0.0) > shares.get(worse, 0.0) for better, worse in pairs]))


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What some simulated studies of one size gave."""

    order: float
    """Share of pairs of parameters in the true order."""
    covered: float
    """Share of intervals that hold the truth, of parameters with an effect."""
    claimed: float
    """Share of intervals above 0, of parameters without an effect."""
    pair_found: float
    """Share of studies in which the pair that works together comes first."""
    pair_claimed: float
    """Share of studies in which another pair is told."""
    errors: float
    """Mean of estimated less true share, of the largest effect."""


def figures(seeds: Iterable[int], count: int, truth: dict[str, Truth]) -> Figures:
    """The figures over studies of `count` trials."""
    order: list[float] = []
    errors: list[float] = []
    covered: list[bool] = []
    claimed: list[bool] = []
    found: list[bool] = []
    false: list[bool] = []
    largest = max(truth, key=lambda name: truth[name].share)
    for seed in seeds:
        trials, values, has = study(seed, count)
        result = ours(trials)
        rows = {row.name: row for row in result.rows}
        order.append(order_kept(dict(result.shares), truth))
        for name, row in rows.items():
            if not truth[name].share:
                claimed.append(row.low > 0.0)
                continue
            means = truth[name].means[places(name, values[name][has[name]])]
            drew = 12 * float(((means - means.mean()) ** 2).sum()) / count
            covered.append(row.low <= drew <= row.high)
        errors.append(rows[largest].share - truth[largest].share)
        told = [set(pair.names) for pair in result.pairs]
        true = {"norm.kind", "optimizer.learning_rate"}
        found.append(told[:1] == [true])
        false.append(any(pair != true for pair in told))
    mean: Callable[[list[Any]], float] = lambda of: float(np.mean(of))  # noqa: E731
    return Figures(
        order=mean(order),
        covered=mean(covered),
        claimed=mean(claimed),
        pair_found=mean(found),
        pair_claimed=mean(false),
        errors=mean(errors),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=200)
    parser.add_argument("--trials", type=int, nargs="+", default=[60, 100, 200, 500])
    parser.add_argument("--optuna", type=int, default=20, help="studies on which Optuna's importances are computed")
    args = parser.parse_args()
    truth = truths()
    print(f"{processor()}, n = {args.studies} studies of each size\n")
    print("| trials | order kept | 95 % intervals with the truth | claims without effect | pair found | other pairs |")
    print("|---|---|---|---|---|---|")
    for count in args.trials:
        made = figures(range(args.studies), count, truth)
        cells = (made.order, made.covered, made.claimed, made.pair_found, made.pair_claimed)
        print(f"| {count} | " + " | ".join(f"{100 * cell:.1f} %" for cell in cells) + " |", flush=True)
    evaluators: dict[str, Callable[[list[FrozenTrial]], dict[str, float]]] = {
        "here": lambda trials: dict(ours(trials).shares),
        "Optuna fANOVA": lambda trials: of_optuna(optuna.importance.FanovaImportanceEvaluator(seed=0), trials),
        "Optuna PED-ANOVA": lambda trials: of_optuna(optuna.importance.PedAnovaImportanceEvaluator(), trials),
    }
    print(f"\n| importances of 200 trials, n = {args.optuna} | order kept | s |\n|---|---|---|")
    for name, evaluate in evaluators.items():
        started = time.process_time()
        kept = [order_kept(evaluate(study(seed, 200)[0]), truth) for seed in range(args.optuna)]
        print(f"| {name} | {100 * np.mean(kept):.1f} % | {(time.process_time() - started) / args.optuna:.2f} |")


if __name__ == "__main__":
    main()
