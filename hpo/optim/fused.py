"""The updates of lanes with any optimizers: on CPU by PyTorch's fused kernels where it has one, which are called lane
by lane and pass over memory only once; adafactor by `hpo.optim.factored`; all else by the common formula of
`hpo.optim.rules` for neighbouring lanes.

For large models a fused kernel is several times as fast as the formula, and a lane does not depend on the others. On a
GPU, where starting a kernel takes longer than running it, the formula is faster for all lanes that it can step. Rules
and state are the same: m starts at 0, v at `coefficients.initial_v`.

Shapes: S steps, K lanes, P parameters per lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.optim import factored, rules
from hpo.optim.coefficients import coefficients_of
from hpo.studyfile.records import Adafactor, Adagrad, Adam, AdamW, Optimizer, Rmsprop, Sgd

kernels: Any = torch
"""The module of PyTorch's fused kernels, which are behind `torch.optim.SGD(fused=True)` etc. They have no types."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneTensors:
    """One lane's rows, as the lists that the kernels take."""

    theta: list[Tensor]
    gradient: list[Tensor]
    m: list[Tensor]
    v: list[Tensor]


def _sgd(optimizer: Sgd, lane: LaneTensors, rate: float, step: list[Tensor], first: bool) -> None:
    momentum = optimizer.momentum
    kernels._fused_sgd_(
        lane.theta,
        lane.gradient,
        lane.m if momentum else [],
        weight_decay=optimizer.weight_decay,
        momentum=momentum,
        lr=rate,
        dampening=0.0 if optimizer.nesterov else optimizer.dampening,
        nesterov=optimizer.nesterov and momentum > 0.0,
        maximize=False,
        is_first_step=first,
    )


def _adagrad(optimizer: Adagrad, lane: LaneTensors, rate: float, step: list[Tensor], first: bool) -> None:
    kernels._fused_adagrad_(
        lane.theta,
        lane.gradient,
        lane.v,
        step,
        lr=rate,
        lr_decay=optimizer.lr_decay,
        weight_decay=optimizer.weight_decay,
        eps=optimizer.eps,
        maximize=False,
    )


def _rmsprop(optimizer: Rmsprop, lane: LaneTensors, rate: float, step: list[Tensor], first: bool) -> None:
    # RMSprop is Adam without momentum at a step so large that the bias corrections are 1.
    _adaptive(kernels._fused_adam_, optimizer, lane, rate, LATE, 0.0, optimizer.alpha)


def _adam(optimizer: Adam, lane: LaneTensors, rate: float, step: list[Tensor], first: bool) -> None:
    _adaptive(kernels._fused_adam_, optimizer, lane, rate, step, optimizer.beta1, optimizer.beta2)


def _adamw(optimizer: AdamW, lane: LaneTensors, rate: float, step: list[Tensor], first: bool) -> None:
    _adaptive(kernels._fused_adamw_, optimizer, lane, rate, step, optimizer.beta1, optimizer.beta2)


def _adaptive(
    kernel: Any,
    optimizer: Rmsprop | Adam | AdamW,
    lane: LaneTensors,
    rate: float,
    step: list[Tensor],
    beta1: float,
    beta2: float,
) -> None:
    kernel(
        lane.theta,
        lane.gradient,
        lane.m,
        lane.v,
        [],
        step,
        lr=rate,
        beta1=beta1,
        beta2=beta2,
        weight_decay=optimizer.weight_decay,
        eps=optimizer.eps,
        amsgrad=False,
        maximize=False,
    )


LATE = [torch.tensor(1e30)]
"""A number of steps at which Adam's bias corrections are 1."""

RULES: dict[str, Callable[[Any, LaneTensors, float, list[Tensor], bool], None]] = {
    "sgd": _sgd,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adamw,
}
"""Name in a study file -> function from the record, the lane, its learning rate, the step (counted from 1, as a
tensor) and whether it is the first. Rules without a kernel are not here."""


def updater(
    optimizers: Sequence[Optimizer],
    theta_KP: Tensor,
    gradient_KP: Tensor,
    m_KP: Tensor,
    v_KP: Tensor,
    rate_SK: NDArray[np.float64],
    done: Sequence[int],
    places: factored.Places,
) -> Callable[[int], None]:
    """Returns a function that makes step s of S of every lane, in place on theta, m and v. The gradient must have been
    written before each call.

    `done`: number of steps that each lane has made before. `places`: where a lane's tensors are.
    """
    on_cpu = theta_KP.device.type == "cpu"
    step_SK = np.arange(1, len(rate_SK) + 1)[:, None] + np.asarray(done)[None, :]
    steps = [[[step] for step in row] for row in torch.from_numpy(step_SK).float()] if on_cpu else []
    calls: list[list[Callable[[], None]]] = [[] for _ in rate_SK]
    for way, members in groupby(range(len(optimizers)), key=lambda lane: _way(optimizers[lane], on_cpu=on_cpu)):
        lanes = list(members)
        if way not in RULES:
            rows = slice(lanes[0], lanes[-1] + 1)
            tensors = theta_KP[rows], gradient_KP[rows], m_KP[rows], v_KP[rows]
            part = optimizers[rows], tensors, rate_SK[:, rows], done[rows]
            together = factored.updater(*part, places) if way == "adafactor" else _formula(*part)
            for s, call in enumerate(calls):
                call.append(partial(together, s))
            continue
        for k in lanes:
            lane = LaneTensors(theta=[theta_KP[k]], gradient=[gradient_KP[k]], m=[m_KP[k]], v=[v_KP[k]])
            for s, rate in enumerate(rate_SK[:, k].tolist()):
                first = s == 0 and done[k] == 0
                calls[s].append(partial(RULES[way], optimizers[k], lane, rate, steps[s][k], first))

    def update(s: int) -> None:
        for call in calls[s]:
            call()

    return update


def _way(optimizer: Optimizer, *, on_cpu: bool) -> str:
    """How a lane is stepped; neighbours with the same are stepped together, unless by a kernel."""
    return optimizer.name if on_cpu or isinstance(optimizer, Adafactor) else "formula"


def _formula(
    optimizers: Sequence[Optimizer],
    tensors: tuple[Tensor, Tensor, Tensor, Tensor],
    rate_SK: NDArray[np.float64],
    done: Sequence[int],
) -> Callable[[int], None]:
    """A function that makes step s of lanes by the common formula."""
    lanes, (theta_KP, *_) = [coefficients_of(optimizer) for optimizer in optimizers], tensors
    stacked = rules.stack(lanes, theta_KP.dtype, theta_KP.device)
    columns = rules.step_columns(lanes, rate_SK, done, theta_KP.dtype, theta_KP.device)
    return lambda s: rules.update_(*tensors, columns.at(s), stacked)
