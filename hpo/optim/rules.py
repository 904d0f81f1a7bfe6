"""Every update rule as one formula with coefficients per lane, so that lanes with different optimizers step together.

With t the step counted from 1 and g the gradient plus coupled * theta:

    m     = momentum * m + damp * g
    v     = decay * v + scale * g^2
    n     = direct * g + buffered * m
    theta = theta * (1 - rate * decoupled)
            - rate / (1 - beta1^t) / (1 + (t - 1) * lr_decay) * n / (sqrt(v) / sqrt(1 - beta2^t) + eps)

A rule without second moment has v = 1 and eps = 0, so that its denominator is exactly 1 (v = 0 and eps = 1 would be
slower, as some CPUs are slow at the root of 0). Terms that no lane needs are skipped. Skipping changes no bit of a
lane's step while the lane's numbers are finite. In a lane that has overflowed, 0 * inf may give NaN where a skipped
term leaves inf, so a lane must end when its gradient is not finite. Schedules are in `hpo.optim.schedules`, penalties
and clipping in `hpo.optim.penalties`.

Shapes: K lanes, P parameters per lane.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.studyfile.records import Adagrad, Adam, AdamW, Optimizer, Rmsprop, Sgd


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficients:
    """One lane's coefficients in the formula; the defaults are plain gradient descent. The learning rate, which changes
    with every step, is not among them."""

    momentum: float = 0.0
    """Share of the buffer m that stays at each step."""
    damp: float = 1.0
    """Share of the gradient that enters m."""
    damp_first: float = 1.0
    """The same at the first step, where PyTorch's SGD takes the gradient undamped."""
    decay: float = 1.0
    """Share of the second moment v that stays at each step."""
    scale: float = 0.0
    """Share of the squared gradient that enters v; 0: the rule has no second moment."""
    direct: float = 0.0
    """Weight of the gradient itself in the step."""
    buffered: float = 1.0
    """Weight of m in the step."""
    beta1: float = 0.0
    """Base of the bias correction of m; 0: none."""
    beta2: float = 0.0
    """Base of the bias correction of v; 0: none."""
    lr_decay: float = 0.0
    """The step shrinks by 1 / (1 + (t - 1) * lr_decay)."""
    eps: float = 0.0
    """Added to the root of v."""
    coupled: float = 0.0
    """Weight decay that is added to the gradient."""
    decoupled: float = 0.0
    """Weight decay, times the learning rate, that shrinks the parameters directly."""
    initial_v: float = 1.0
    """Value of every element of v before the first step."""


def _sgd(optimizer: Sgd) -> Coefficients:
    if optimizer.momentum == 0.0:
        return Coefficients(coupled=optimizer.weight_decay)
    return Coefficients(
        momentum=optimizer.momentum,
        damp=1.0 if optimizer.nesterov else 1.0 - optimizer.dampening,
        direct=1.0 if optimizer.nesterov else 0.0,
        buffered=optimizer.momentum if optimizer.nesterov else 1.0,
        coupled=optimizer.weight_decay,
    )


def _adagrad(optimizer: Adagrad) -> Coefficients:
    return Coefficients(
        decay=1.0,
        scale=1.0,
        lr_decay=optimizer.lr_decay,
        eps=optimizer.eps,
        coupled=optimizer.weight_decay,
        initial_v=optimizer.initial_accumulator_value,
    )


def _rmsprop(optimizer: Rmsprop) -> Coefficients:
    alpha = optimizer.alpha
    return Coefficients(
        decay=alpha, scale=1.0 - alpha, eps=optimizer.eps, coupled=optimizer.weight_decay, initial_v=0.0
    )


def _adam(optimizer: Adam | AdamW) -> Coefficients:
    decoupled = isinstance(optimizer, AdamW)
    return Coefficients(
        momentum=optimizer.beta1,
        damp=1.0 - optimizer.beta1,
        damp_first=1.0 - optimizer.beta1,
        decay=optimizer.beta2,
        scale=1.0 - optimizer.beta2,
        beta1=optimizer.beta1,
        beta2=optimizer.beta2,
        eps=optimizer.eps,
        coupled=0.0 if decoupled else optimizer.weight_decay,
        decoupled=optimizer.weight_decay if decoupled else 0.0,
        initial_v=0.0,
    )


RULES: dict[str, Callable[[Any], Coefficients]] = {
    "sgd": _sgd,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adam,
}
"""Name in a study file -> function from the record to its coefficients; each steps like its namesake in
`torch.optim`."""


def coefficients(optimizer: Optimizer) -> Coefficients:
    """The numbers of the formula for one trial's optimizer."""
    return RULES[optimizer.name](optimizer)


def state_tensors(optimizer: Optimizer) -> int:
    """Number of buffers of the parameters' size that the rule needs: sgd 0, with momentum 1, adagrad and rmsprop 1,
    adam and adamw 2. (A program of many lanes has the largest number that any lane needs.)"""
    lane = coefficients(optimizer)
    return sum((optimizer.name in ("adam", "adamw") or lane.momentum != 0.0, lane.scale != 0.0))


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneCoefficients:
    """The coefficients of K lanes that are the same for every step, as columns of the parameters' dtype, and which
    terms of the formula any lane needs."""

    momentum_K1: Tensor
    decay_K1: Tensor
    scale_K1: Tensor
    direct_K1: Tensor
    buffered_K1: Tensor
    coupled_K1: Tensor
    any_momentum: bool
    """Whether m is updated; else n is the gradient and m does not change."""
    any_direct: bool
    """Whether n combines gradient and buffer."""
    any_second: bool
    """Whether v is updated; else it does not change."""
    any_coupled: bool
    any_decoupled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class StepColumns:
    """The coefficients that change with every step, [K, 1] for one step or [S, K, 1] for S steps, of the parameters'
    dtype."""

    rate: Tensor
    """Factor of n: the learning rate with both bias corrections."""
    eps: Tensor
    """Added to the root of v, with the bias correction of v."""
    shrink: Tensor
    """Factor of the parameters before the step: 1 - learning rate * decoupled decay."""
    damp: Tensor
    """Share of the gradient that enters m."""

    def at(self, step: int) -> StepColumns:
        """The columns of one of the steps."""
        return StepColumns(rate=self.rate[step], eps=self.eps[step], shrink=self.shrink[step], damp=self.damp[step])


def stack(
    lanes: Sequence[Coefficients],
    dtype: torch.dtype,
    device: torch.device | str,
    witnesses: Sequence[Coefficients] = (),
) -> LaneCoefficients:
    """Coefficients of the lanes in order, for parameters of `dtype` on `device`. No gradient flows through them.

    `witnesses`: further coefficients, whose terms are computed even if no lane needs them.
    """

    def column(of: Callable[[Coefficients], float]) -> Tensor:
        return torch.tensor([[of(lane)] for lane in lanes], dtype=dtype, device=device)

    def needed(of: Callable[[Coefficients], bool]) -> bool:
        return any(of(lane) for lane in (*lanes, *witnesses))

    return LaneCoefficients(
        momentum_K1=column(lambda lane: lane.momentum),
        decay_K1=column(lambda lane: lane.decay),
        scale_K1=column(lambda lane: lane.scale),
        direct_K1=column(lambda lane: lane.direct),
        buffered_K1=column(lambda lane: lane.buffered),
        coupled_K1=column(lambda lane: lane.coupled),
        any_momentum=needed(lambda lane: lane.momentum != 0.0),
        any_direct=needed(lambda lane: lane.direct != 0.0),
        any_second=needed(lambda lane: lane.scale != 0.0),
        any_coupled=needed(lambda lane: lane.coupled != 0.0),
        any_decoupled=needed(lambda lane: lane.decoupled != 0.0),
    )


def step_columns(
    lanes: Sequence[Coefficients],
    rate_SK: NDArray[np.float64],
    done: Sequence[int],
    dtype: torch.dtype,
    device: torch.device | str,
) -> StepColumns:
    """The coefficients of S steps, [S, K, 1], from their learning rates and the steps each lane has done before.

    Computed in float64: 1 - beta2^t would lose digits in less. Powers are products, which round alike in vector and
    scalar code, so that a lane's numbers do not depend on how many lanes there are.
    """
    step_SK = np.arange(1, len(rate_SK) + 1)[:, None] + np.asarray(done)[None, :]

    def row(of: Callable[[Coefficients], float]) -> NDArray[np.float64]:
        return np.array([[of(lane) for lane in lanes]])

    def correction(of: Callable[[Coefficients], float]) -> NDArray[np.float64]:
        begun = np.array([[of(lane) ** before for lane, before in zip(lanes, done, strict=True)]])
        each = np.broadcast_to(row(of), step_SK.shape)
        return 1.0 - begun * np.multiply.accumulate(each, axis=0)

    root_SK = np.sqrt(correction(lambda lane: lane.beta2))
    slowed_SK = 1.0 + (step_SK - 1) * row(lambda lane: lane.lr_decay)
    damp_SK = np.where(step_SK == 1, row(lambda lane: lane.damp_first), row(lambda lane: lane.damp))

    def tensor(values_SK: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values_SK).to(device, dtype).unsqueeze(2)

    # n / (sqrt(v) / root + eps) = n * root / (sqrt(v) + eps * root), which spares a pass over all parameters
    return StepColumns(
        rate=tensor(rate_SK / correction(lambda lane: lane.beta1) * root_SK / slowed_SK),
        eps=tensor(row(lambda lane: lane.eps) * root_SK),
        shrink=tensor(1.0 - rate_SK * row(lambda lane: lane.decoupled)),
        damp=tensor(damp_SK),
    )


def update_(
    theta_KP: Tensor,
    grad_KP: Tensor,
    m_KP: Tensor,
    v_KP: Tensor,
    now: StepColumns,
    coefficients: LaneCoefficients,
) -> None:
    """One step of every lane, in place on theta, m and v; grad is used as scratch, its contents are lost.

    A lane starts with m = 0 and v = `Coefficients.initial_v`. m and v may be of any shape, e.g. empty, while no
    lane needs them (`any_momentum`, `any_second`).
    """
    c = coefficients
    if c.any_coupled:
        grad_KP.addcmul_(theta_KP, c.coupled_K1)
    if c.any_decoupled:
        theta_KP.mul_(now.shrink)

    denominator_KP = None
    if c.any_second:
        # scale * g before the square: a lane without second moment must not overflow to 0 * inf
        scratch_KP = grad_KP * c.scale_K1
        v_KP.mul_(c.decay_K1).addcmul_(scratch_KP, grad_KP)
        denominator_KP = torch.sqrt(v_KP, out=scratch_KP).add_(now.eps)

    n_KP = grad_KP
    if c.any_momentum:
        m_KP.mul_(c.momentum_K1).addcmul_(grad_KP, now.damp)
        if c.any_direct:
            n_KP.mul_(c.direct_K1).addcmul_(m_KP, c.buffered_K1)
        else:
            n_KP = m_KP
    step_KP = torch.mul(n_KP, now.rate, out=grad_KP)
    if denominator_KP is None:
        theta_KP.sub_(step_KP)
    else:
        theta_KP.addcdiv_(step_KP, denominator_KP, value=-1.0)
