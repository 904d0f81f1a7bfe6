"""Error rates of `hpo compare` by simulation: how often equal methods are called different, and better ones better.

`python -m benchmarks.compare` prints a table. Each row simulates searches, or cross-validations of real models on drawn
data, compares two of them as the command does, and counts p values below 5 %.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from hpo.reports.comparison.significance import ALPHA, Scores, difference

Random = np.random.Generator
Pair = tuple[Scores, Scores]

TRIALS = 20
"""Of a simulated search."""
SEEDS = 10
"""Studies of each method, of different seeds."""
TRAININGS = 8
"""New trainings of a winner."""
REPEATS = 5
FOLDS = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class Method:
    """A way of comparing two methods or two winners."""

    draw: Callable[[Random, bool], Pair]
    """Draws the scores of both; with True the first one is better."""
    advantage: str
    """How much better it is then."""
    exact: bool = True
    """Whether 5 % of equal ones should differ significantly; else at most as many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Shares of comparisons with a significant difference."""

    equal: float
    """Of equal methods."""
    power: float
    """Of methods of which the first is better."""

    @staticmethod
    def error(rate: float, comparisons: int) -> float:
        """Standard error of a rate."""
        return math.sqrt(rate * (1 - rate) / comparisons)


def best_found(random: Random, splits: np.ndarray, bonus: float) -> np.ndarray:
    """The best of a random search on each split: configurations between 0 and 1, a configuration's luck with a split,
    and what the split does to all."""
    quality_ST = random.uniform(0.0, 1.0, (len(splits), TRIALS))
    luck_ST = 0.3 * random.standard_normal((len(splits), TRIALS))
    best: np.ndarray = (quality_ST + luck_ST).max(1) + splits + bonus
    return best


def of_studies(values: np.ndarray, first: int = 0) -> Scores:
    """Scores of studies on splits that are numbered from `first` on."""
    return Scores(blocks={f"split {first + n}": (float(value),) for n, value in enumerate(values)})


def paired_studies(random: Random, better: bool) -> Pair:
    """Studies of the same seeds, which share the splits."""
    splits = 0.3 * random.standard_normal(SEEDS)
    first, second = (best_found(random, splits, 0.3 * (better and of == 0)) for of in (0, 1))
    return of_studies(first), of_studies(second)


def unpaired_studies(random: Random, better: bool) -> Pair:
    """Studies of different seeds, each on a split of its own."""
    splits = 0.3 * random.standard_normal((2, SEEDS))
    first, second = (best_found(random, splits[of], 0.5 * (better and of == 0)) for of in (0, 1))
    return of_studies(first), of_studies(second, SEEDS)


def trained(values: np.ndarray) -> Scores:
    """Scores of one winner, trained with several seeds on one split."""
    return Scores(blocks={"split": tuple(map(float, values))})


def new_seeds(random: Random, better: bool) -> Pair:
    """Two winners, trained again."""
    return trained(random.standard_normal(TRAININGS) + 1.5 * better), trained(random.standard_normal(TRAININGS))


def selected(random: Random, trials: int) -> np.ndarray:
    """The repeats of the winner among equal configurations, by which it was selected."""
    scores_TR = random.standard_normal((trials, REPEATS))
    winner: np.ndarray = scores_TR[scores_TR.mean(1).argmax()]
    return winner


def selection(random: Random, better: bool) -> Pair:
    """Winners of searches of equal length, by their own repeats; all configurations are equal."""
    return trained(selected(random, TRIALS) + 1.5 * better), trained(selected(random, TRIALS))


def unequal_selection(random: Random, better: bool) -> Pair:
    """The same, but the first search was ten times as long."""
    return trained(selected(random, 10 * TRIALS) + 1.5 * better), trained(selected(random, TRIALS))


def cross_validation(random: Random, better: bool) -> Pair:
    """Accuracies of two ridge classifiers over the folds of 1,000 drawn examples. Each sees half of the features, which
    say equally much; the worse one lacks two thirds of its half."""
    features, examples = 12, 1000
    x_NF = random.standard_normal((examples, 2 * features))
    y_N = np.sign(x_NF.sum(1) / math.sqrt(2 * features) + 0.5 * random.standard_normal(examples))
    fold_N = np.arange(examples) % FOLDS
    lacking = 2 * features // 3 if better else 0
    halves = (slice(0, features), slice(features, 2 * features - lacking))
    first, second = ([accuracy(x_NF[:, half], y_N, fold_N == fold) for fold in range(FOLDS)] for half in halves)
    return _folds(first), _folds(second)


def accuracy(x_NF: np.ndarray, y_N: np.ndarray, held_N: np.ndarray) -> float:
    """On the examples that are held out, after a fit of the others."""
    x_TF = x_NF[~held_N]
    weights_F = np.linalg.solve(x_TF.T @ x_TF + np.eye(x_TF.shape[1]), x_TF.T @ y_N[~held_N])
    return float(np.mean(np.sign(x_NF[held_N] @ weights_F) == y_N[held_N]))


def _folds(values: list[float]) -> Scores:
    return Scores(blocks={f"fold {n}": (value,) for n, value in enumerate(values)}, folds=True)


METHODS: dict[str, Method] = {
    f"{SEEDS} seeds of each method, same splits": Method(draw=paired_studies, advantage="0.3 of the range"),
    f"{SEEDS} seeds of each method, other splits": Method(draw=unpaired_studies, advantage="0.5 of the range"),
    f"two winners, {TRAININGS} new trainings each": Method(draw=new_seeds, advantage="1.5 standard deviations"),
    f"two winners, {FOLDS} folds of a cross-validation": Method(
        draw=cross_validation, advantage="three times the features", exact=False
    ),
    f"two winners, the {REPEATS} repeats that selected them": Method(
        draw=selection, advantage="1.5 standard deviations", exact=False
    ),
}
"""What users compare -> its simulation."""
MISUSE = Method(draw=unequal_selection, advantage="1.5 standard deviations")


def rates(name: str, *, comparisons: int, seed: int) -> Rates:
    """Compares so often."""
    return measured(METHODS[name], comparisons=comparisons, seed=seed)


def measured(method: Method, *, comparisons: int, seed: int) -> Rates:
    """Compares so often by a method."""
    random = np.random.default_rng(seed)

    def share(better: bool) -> float:
        found = (difference(*method.draw(random, better), minimized=False).p for _ in range(comparisons))
        return fmean(p is not None and p < ALPHA for p in found)

    return Rates(equal=share(False), power=share(True))


def main(comparisons: int = 1000) -> None:
    """Prints the table."""

    print(f"{comparisons:,} comparisons each; standard errors in brackets")
    print("| compared | equal, called different | better by | found |\n| --- | --- | --- | --- |")
    rows = METHODS | {f"the same, but {10 * TRIALS} trials against {TRIALS}": MISUSE}
    for name, method in rows.items():
        found = measured(method, comparisons=comparisons, seed=0)
        equal, power = (
            f"{100 * rate:.1f} % ({100 * Rates.error(rate, comparisons):.1f})" for rate in (found.equal, found.power)
        )
        print(f"| {name} | {equal} | {method.advantage} | {power} |", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
