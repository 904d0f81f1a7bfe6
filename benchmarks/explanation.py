"""How far the statistics of an explanation hold, on simulated winners.

    python -m benchmarks.explanation [--studies 1000] [--trainings 12 24 48 96]

A simulated winner differs from the default configuration by some changes, whose gains add up, and of which some gain
nothing. The noise of a training is 1; half of its variance belongs to the seeds, which all configurations share. The
order of the importances is that of the gains, disturbed. Printed for each number of trainings: how often a change that
gains nothing is said to matter, and is set back; how often one that gains much is set back; how often the simpler
configuration is truly worse than the winner by more than the noise of a training; how often intervals of gains cover,
and those of interactions, which are all 0; and how well the steps are in the order of the true gains, as the share of
pairs of unequal steps.
"""

from __future__ import annotations

import argparse
from itertools import combinations
from statistics import fmean

import numpy as np

from hpo.search.explanation import Outcome, Round, proceed
from hpo.search.explanation.plan import Plan, Taken, plan_of

GAINS = (8.0, 3.0, 1.0, 0.0, 0.0, 0.0)
"""True gains of the changes, in units of the noise."""
MUCH = 3.0
"""Gains from which a change must not be set back."""
NONE = frozenset[int]()


def simulated(random: np.random.Generator, gains: np.ndarray, plan: Plan, unsteady: float = 1.0) -> tuple[Outcome, int]:
    """What follows for one winner, and the number of trainings. `unsteady`: the noise of the default configuration."""
    values: dict[Taken, dict[int, float | None]] = {}
    seeds = random.normal(size=100) * np.sqrt(0.5)
    while isinstance(found := proceed(plan, values, lambda taken: True), Round):
        for taken, repeat in found.wanted:
            noise = seeds[repeat] + np.sqrt(0.5) * random.normal()
            value = sum(gains[change] for change in taken) + noise * (1.0 if taken else unsteady)
            values.setdefault(taken, {})[repeat] = float(value)
    return found, sum(map(len, values.values()))


def rates(studies: int, trainings: int, gains: tuple[float, ...] = GAINS, unsteady: float = 1.0) -> dict[str, float]:
    """The figures of so many simulated winners."""
    found: dict[str, list[float]] = {}
    plan = plan_of(len(gains), trainings)
    assert plan is not None
    for number in range(studies):
        random = np.random.default_rng([0, number])
        truth = np.array(gains)[np.argsort(-(np.array(gains) + random.normal(size=len(gains))))]
        outcome, count = simulated(random, truth, plan, unsteady)
        for name, value in _figures(outcome, truth):
            found.setdefault(name, []).append(value)
        found.setdefault("trainings", []).append(count)
    return {name: fmean(values) for name, values in sorted(found.items())}


def _figures(outcome: Outcome, truth: np.ndarray) -> list[tuple[str, float]]:
    def true(taken: Taken) -> float:
        return sum(float(truth[change]) for change in taken)

    found: list[tuple[str, float]] = []
    for step in outcome.steps:
        gain = true(step.changes)
        if gain == 0.0:
            found += [
                ("nothing: mattered", step.verdict == "mattered"),
                ("nothing: set back", step.verdict == "set back"),
            ]
        elif min(float(truth[change]) for change in step.changes) >= MUCH:
            found.append(("much: set back", step.verdict == "set back"))
        found.append(("gain covers", step.gain.low <= gain <= step.gain.high))
    whole = true(frozenset(range(len(truth))))
    found.append(("simpler is worse", whole - true(outcome.simpler) > 1.0))
    found.append(("loss covers", outcome.loss.low <= whole - true(outcome.simpler) <= outcome.loss.high))
    found += [("interaction covers", pair.interaction.low <= 0.0 <= pair.interaction.high) for pair in outcome.pairs]
    gains = [true(step.changes) for step in outcome.steps]
    found += [("order", first > later) for first, later in combinations(gains, 2) if first != later]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--trainings", type=int, nargs="+", default=[12, 24, 48, 96, 192])
    parser.add_argument("--unsteady", type=float, default=1.0, help="noise of the default configuration")
    arguments = parser.parse_args()
    for count in arguments.trainings:
        found = rates(arguments.studies, count, unsteady=arguments.unsteady)
        print(f"| {count} | " + " | ".join(f"{name} {value:.3g}" for name, value in found.items()) + " |")


if __name__ == "__main__":
    main()
