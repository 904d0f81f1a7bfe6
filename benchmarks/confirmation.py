"""How far the statistics of a confirmation hold, on simulated studies.

    python -m benchmarks.confirmation [--studies 1000] [--trainings 6 12 24]

A simulated study draws configurations whose true values are spread as in a real search, most of them far below the
best, searches them once, and confirms the best with `hpo.search.confirmation` as `hpo run` does. The default
configuration is as good as a configuration in the middle of the table, by the median. Printed for each number of
trainings and each spread of the true values (in units of the noise of one training): how often the interval of the
winner's value covers its true one, and that of the gain the true gain; how often the winner is truly worse than the
default configuration; how often the truly best configuration is among the leaders and the others that may be as good;
how often the leaders of two studies of the same table with other seeds overlap; the true value given up by the winner
of the search and by that of the confirmation against the best of the table, and how much the search's score promises
too much.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from hpo.conclusions.confirmation import Confirmation
from hpo.search import confirmation
from hpo.search.confirmation import DEFAULT

CONFIGURATIONS = 40
"""Finished trials of a simulated study."""
SPREADS = (0.0, 0.5, 2.0, 10.0)
"""Scales of the true values, in units of the noise."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Simulated:
    """A confirmed study and the truth about it."""

    true: np.ndarray
    """True values, best first by the search."""
    default: float
    """The true value of the default configuration."""
    outcome: Confirmation
    trainings: int
    """How many trainings were spent."""


def table(random: np.random.Generator, spread: float) -> tuple[np.ndarray, float]:
    """True values of a study's finished trials, and that of the default configuration; the noise of one is 1."""
    true = -spread * np.abs(random.normal(size=CONFIGURATIONS)) - spread * random.exponential(size=CONFIGURATIONS)
    return true, float(np.median(true))


def study(
    random: np.random.Generator,
    true: np.ndarray,
    default: float,
    count: int,
    noise: Callable[[int], float] = lambda number: 1.0,
) -> Simulated:
    """Searches a table and confirms its best configurations with `count` trainings."""
    searched = true + random.normal(size=len(true))
    order = np.argsort(-searched)
    true, searched = true[order], searched[order]
    numbers = [*range(confirmation.configurations(count) - 1), DEFAULT]
    values: dict[int, list[float]] = {number: [] for number in numbers}
    means = dict(enumerate(true)) | {DEFAULT: default}
    spent = 0
    while missing := confirmation.next_round(values, DEFAULT, dict.fromkeys(numbers, 1), count - spent):
        spent += len(missing)
        for number, _ in missing:
            values[number].append(float(means[number] + noise(number) * random.normal()))
    known = {number: float(value) for number, value in enumerate(searched)}
    outcome = confirmation.conclude(
        values,
        {number: value for number, value in known.items() if number in values},
        {number: value for number, value in known.items() if number not in values},
        DEFAULT,
    )
    assert outcome is not None
    return Simulated(true=true, default=default, outcome=outcome, trainings=spent)


def rates(studies: int, count: int, spread: float, seed: int = 0, noisy_default: float = 1.0) -> dict[str, float]:
    """The figures of so many simulated studies."""
    found: dict[str, list[float]] = {}
    for number in range(studies):
        random = np.random.default_rng([seed, number])
        true, default = table(random, spread)

        def noise(which: int) -> float:
            return noisy_default if which == DEFAULT else 1.0

        pair = [study(random, true, default, count, noise) for _ in range(2)]
        for name, value in _figures(pair[0]).items():
            found.setdefault(name, []).append(value)
        sets = [{float(one.true[n]) for n in (*one.outcome.leaders, *one.outcome.others)} for one in pair]
        found.setdefault("overlap", []).append(bool(sets[0] & sets[1]))
    return {name: fmean(values) for name, values in found.items()}


def _figures(one: Simulated) -> dict[str, float]:
    outcome, best = one.outcome, int(np.argmax(one.true))
    truth = float(one.true[outcome.winner])
    assert outcome.gain is not None
    return {
        "covers": outcome.value.low <= truth <= outcome.value.high,
        "gain covers": outcome.gain.low <= truth - one.default <= outcome.gain.high,
        "worse": truth < one.default - 1e-12,
        "best is in": best in outcome.leaders or best in outcome.others,
        "leaders": len(outcome.leaders),
        "others": len(outcome.others),
        "given up, search": float(one.true.max() - one.true[0]),
        "given up": float(one.true.max() - truth),
        "optimism": outcome.optimism,
        "width": outcome.value.high - outcome.value.low,
        "error of the mean": outcome.value.mean - truth,
        "trainings": one.trainings,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--trainings", type=int, nargs="+", default=[6, 8, 12, 24, 60])
    parser.add_argument("--noisy-default", type=float, default=1.0, help="noise of the default configuration")
    arguments = parser.parse_args()
    shown = False
    for count in arguments.trainings:
        for spread in SPREADS:
            found = rates(arguments.studies, count, spread, noisy_default=arguments.noisy_default)
            if not shown:
                shown = True
                print("| trainings | spread | " + " | ".join(found) + " |")
                print("| --- " * (2 + len(found)) + "|")
            print(f"| {count} | {spread:g} | " + " | ".join(f"{value:.3g}" for value in found.values()) + " |")


if __name__ == "__main__":
    main()
