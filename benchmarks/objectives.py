"""How much of two objectives a study of 60 trials finds, beside Optuna's samplers for several objectives.

    python -m benchmarks.objectives [--seeds 5] [--trials 60] [--in-flight 8]

A trial is a perceptron on the digits of `studies/digits_pareto.toml`, trained by plain PyTorch on every side: its best
validation accuracy, and the bytes that PyTorch's optimizer keeps. All sides draw from the same space; as many trials
are in flight as in the study, and end together. The score is the hypervolume that the Pareto front dominates, between
an error of 20 % and none and, on a log scale, between the most and the least bytes of the space: 1 is out of reach.
"better" is the chance that a run of the first side has more than one of the other, ties half.
"""

from __future__ import annotations

import argparse
import math
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import optuna
import torch
from optuna._hypervolume import compute_hypervolume
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.samplers import BaseSampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.trial import FrozenTrial, create_trial
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn

from benchmarks.machine import processor
from benchmarks.sampling import better
from hpo.ranking import Direction
from hpo.search.sampling.tpe import TpeSampler

Params = dict[str, Any]
Draw = Callable[[Mapping[str, BaseDistribution]], Params]
Point = tuple[float, float]
"""Accuracy, and bytes of the optimizer's state."""

DIRECTIONS: tuple[Direction, Direction] = ("maximize", "minimize")
EPOCHS, BATCH = 15, 32
STARTUP = 10
WORST_ERROR = 0.2
LEAST, MOST = 432, 208_976
"""Bytes of the optimizer's state: adafactor's for one layer of 8 units, and adam's for two of 128."""


def _rate(low: float, high: float) -> FloatDistribution:
    return FloatDistribution(low, high, log=True)


COMMON: dict[str, BaseDistribution] = {
    "layers": CategoricalDistribution((1, 2)),
    "width": CategoricalDistribution((8, 16, 32, 64, 128)),
    "dropout": FloatDistribution(0.0, 0.3),
    "optimizer": CategoricalDistribution(("sgd", "rmsprop", "adam", "adafactor")),
}
OF_OPTIMIZERS: dict[str, dict[str, BaseDistribution]] = {
    "sgd": {"sgd_rate": _rate(1e-3, 1.0), "momentum": FloatDistribution(0.5, 0.99)},
    "rmsprop": {"rmsprop_rate": _rate(1e-4, 1e-1)},
    "adam": {"adam_rate": _rate(1e-4, 1e-1)},
    "adafactor": {"adafactor_rate": _rate(1e-3, 1.0)},
}
OPTIMIZERS: dict[str, Any] = {
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
    "adafactor": torch.optim.Adafactor,
}


def drawn(draw: Draw) -> Params:
    """One configuration."""
    params = draw(COMMON)
    return params | draw(OF_OPTIMIZERS[params["optimizer"]])


@cache
def digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Inputs and targets of the training and of the validation part."""
    x, y = load_digits(return_X_y=True)
    x, _, y, _ = train_test_split(x, y, test_size=0.2, stratify=y, random_state=0)
    x_train, x_valid, y_train, y_valid = train_test_split(x, y, test_size=0.25, stratify=y, random_state=0)
    mean, std = x_train.mean(0), x_train.std(0) + 1e-6

    def scaled(part: Any) -> Tensor:
        return torch.tensor((part - mean) / std, dtype=torch.float32)

    return scaled(x_train), torch.tensor(y_train), scaled(x_valid), torch.tensor(y_valid)


def trained(params: Params, seed: int) -> Point:
    """Trains a configuration, by plain PyTorch."""
    torch.manual_seed(seed)
    x_train, y_train, x_valid, y_valid = digits()
    widths = [x_train.shape[1], *[params["width"]] * params["layers"]]
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), nn.ReLU(), nn.Dropout(params["dropout"])]
    model = nn.Sequential(*layers, nn.Linear(widths[-1], 10))
    name = params["optimizer"]
    momentum = {"momentum": params["momentum"]} if name == "sgd" else {}
    optimizer = OPTIMIZERS[name](model.parameters(), lr=params[f"{name}_rate"], **momentum)
    best = 0.0
    for _ in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(x_train)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x_train[rows]), y_train[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            best = max(best, (model(x_valid).argmax(1) == y_valid).float().mean().item())
    state = (value for kept in optimizer.state.values() for value in kept.values())
    kept = sum(value.numel() * value.element_size() for value in state if isinstance(value, Tensor) and value.ndim)
    return best, float(kept)


def ours(seed: int, trials: int, in_flight: int) -> list[Point]:
    """Our TPE on trials in memory."""
    model = TpeSampler([COMMON, *OF_OPTIMIZERS.values()], seed=seed, several=DIRECTIONS)
    every = COMMON | {name: d for group in OF_OPTIMIZERS.values() for name, d in group.items()}
    ended: list[FrozenTrial] = []
    while len(ended) < trials:
        numbers = range(len(ended), len(ended) + in_flight)
        batch = model.batch(ended, [], numbers)
        new = []
        for number in numbers:
            if len(ended) < STARTUP:
                draw: Draw = partial(_random, RandomSampler(seed=1_000_000 * seed + number))
            else:
                draw = partial(_modelled, batch, number)
            params = drawn(draw)
            batch.drawn(params)
            known = {name: every[name] for name in params}
            values = trained(params, 1_000 * seed + number)
            new.append(create_trial(params=params, distributions=known, values=values))
            new[-1].number = number
        ended += new
    return [(trial.values[0], trial.values[1]) for trial in ended[:trials]]


def _random(sampler: RandomSampler, space: Mapping[str, BaseDistribution]) -> Params:
    study: Any = None  # it looks at none
    return {name: sampler.sample_independent(study, study, name, d) for name, d in space.items()}


def _modelled(batch: Any, number: int, space: Mapping[str, BaseDistribution]) -> Params:
    found: Params = batch.group(number, next(iter(space)))
    return found


def optunas(sampler_of: Callable[[int], BaseSampler]) -> Callable[[int, int, int], list[Point]]:
    """A sampler of Optuna's on a study in memory."""

    def run(seed: int, trials: int, in_flight: int) -> list[Point]:
        study = optuna.create_study(directions=DIRECTIONS, sampler=sampler_of(seed))
        points: list[Point] = []
        while len(points) < trials:
            asked = [study.ask() for _ in range(in_flight)]
            found = []
            for trial in asked:

                def draw(space: Mapping[str, BaseDistribution], trial: optuna.Trial = trial) -> Params:
                    return {name: trial._suggest(name, distribution) for name, distribution in space.items()}

                found.append(trained(drawn(draw), 1_000 * seed + trial.number))
            for trial, point in zip(asked, found, strict=True):
                study.tell(trial, point)
            points += found
        return points[:trials]

    return run


SIDES: dict[str, Callable[[int, int, int], list[Point]]] = {
    "hpo TPE": ours,
    "Optuna TPE": optunas(lambda seed: TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True, group=True)),
    "Optuna NSGA-II": optunas(lambda seed: NSGAIISampler(seed=seed)),
    "Optuna NSGA-II, population of 15": optunas(lambda seed: NSGAIISampler(seed=seed, population_size=15)),
    "random": optunas(lambda seed: RandomSampler(seed=seed)),
}


def hypervolume(points: Sequence[Point]) -> float:
    """What the points dominate, as a share of the square between the worst and the best values."""
    span = math.log(MOST / LEAST)
    lost = [((1 - accuracy) / WORST_ERROR, math.log(max(kept, LEAST) / LEAST) / span) for accuracy, kept in points]
    inside = np.array([loss for loss in lost if max(loss) < 1]).reshape(-1, 2)
    return float(compute_hypervolume(inside, np.ones(2))) if len(inside) else 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--in-flight", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    print(f"{processor()}, Python {platform.python_version()}, torch {torch.__version__}, optuna {optuna.__version__}")
    print(f"\n{args.trials} trials, {args.in_flight} in flight, {args.seeds} seeds: hypervolume, median (range)\n")
    print("| side | hypervolume | chance that hpo's is more | minutes |\n|---|---|---|---|")
    found: dict[str, list[float]] = {}
    for name, side in SIDES.items():
        started = time.perf_counter()
        found[name] = [hypervolume(side(seed, args.trials, args.in_flight)) for seed in range(args.seeds)]
        chance = f"{better(found[name], found['hpo TPE']):.2f}" if len(found) > 1 else ""
        print(f"| {name} | {shown(found[name])} | {chance} | {(time.perf_counter() - started) / 60:.1f} |", flush=True)


def shown(values: list[float]) -> str:
    """Median and range."""
    return f"{np.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"


if __name__ == "__main__":
    main()
