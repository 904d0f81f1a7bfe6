"""Learns the configurations that a search begins with (`hpo.search.known_starts`) from the tables of the design tasks.

    python -m benchmarks.curves.starts [--count 4]

Candidates are round: rates 1, 2 or 5 times a power of ten, dropout in tenths. The list is built one by one: the next is
the candidate with which the best of the list is nearest to the best known on all tasks, regrets as in
`benchmarks.search` (a twentieth of a candidate's own regret decides between equals). The width is left out: it belongs
to the data. Printed: the list, and for each task the regrets of a list learnt on the others, beside the best of so many
random configurations.
"""

from __future__ import annotations

import argparse
from itertools import product
from typing import Any

import numpy as np

from benchmarks.curves import DESIGN
from benchmarks.curves.surrogate import Curves

RATES = [float(f"{step}e{power}") for power in (-4, -3, -2, -1) for step in (1, 2, 5)]
RANDOM = 1_000
"""Lists of random configurations that the figure beside is a mean of."""


def candidates() -> list[dict[str, Any]]:
    """All round configurations."""
    found = product(
        ("adam", "sgd"),
        RATES,
        ("none", "batch", "layer"),
        ("kaiming_normal", "orthogonal", "small_normal"),
        np.round(np.arange(0.0, 0.61, 0.1), 1).tolist(),
        ("constant", "cosine"),
    )
    names = (
        "optimizer.name",
        "optimizer.learning_rate",
        "norm.kind",
        "init.scheme",
        "dropout.p",
        "schedule.name",
    )
    return [dict(zip(names, values, strict=True)) for values in found]


def regrets(curves: Curves, known: list[dict[str, Any]]) -> np.ndarray:
    """Of each configuration, the mean over the widths that the sampler may draw for it."""
    width = next(name for name in curves.parameters if name.startswith("model."))
    means = [
        np.minimum(curves.regrets([{**one, width: choice} for one in known]), 2.0)
        for choice in curves.parameters[width].choices
    ]
    found: np.ndarray = np.mean(means, axis=0)
    return found


def learnt(regrets_TC: np.ndarray, count: int) -> list[int]:
    """The list for these tasks."""
    best_T, found = np.full(len(regrets_TC), 2.0), []
    for _ in range(count):
        together = np.minimum(best_T[:, None], regrets_TC).mean(axis=0)
        found.append(int((together + 0.05 * regrets_TC.mean(axis=0)).argmin()))
        best_T = np.minimum(best_T, regrets_TC[:, found[-1]])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=4)
    args = parser.parse_args()
    known, tasks, rng = candidates(), [Curves(task) for task in DESIGN], np.random.default_rng(0)
    regrets_TC = np.array([regrets(curves, known) for curves in tasks])
    print("| left out | " + " | ".join(f"best of {i + 1}" for i in range(args.count)) + " | random |")
    print(f"|---|{'---|' * args.count}---|")
    for t, curves in enumerate(tasks):
        places = learnt(np.delete(regrets_TC, t, axis=0), args.count)
        best = np.minimum.accumulate(regrets_TC[t, places])
        drawn = curves.regrets([curves.random(rng) for _ in range(RANDOM * args.count)]).reshape(RANDOM, -1)
        random = drawn.min(axis=1).mean()
        print(f"| {curves.task.name} | {' | '.join(f'{r:.2f}' for r in best)} | {random:.2f} |")
    print()
    for place in learnt(regrets_TC, args.count):
        print(f"{known[place]},  # {', '.join(f'{r:.2f}' for r in regrets_TC[:, place])}")


if __name__ == "__main__":
    main()
