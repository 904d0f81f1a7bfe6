"""Every update rule as one formula with coefficients per lane, so that lanes with different optimizers step together.

With t the step counted from 1 and g the gradient plus coupled * theta:

    m     = momentum * m + damp * g
    v     = decay * v + scale * g^2
    n     = direct * g + buffered * m
    theta = theta * (1 - rate * decoupled)
            - rate / (1 - beta1^t) / (1 + (t - 1) * lr_decay) * n / (sqrt(v) / sqrt(1 - beta2^t) + eps)

`direct` and `buffered` change with t in NAdam. RAdam adds its rectification to the rate, and steps without v while that
is undefined. Lion takes the sign of n, and m changes after that. The coefficients of each rule are in
`hpo.optim.coefficients`.

A rule without second moment has v = 1 and eps = 0, so that its denominator is exactly 1 (v = 0 and eps = 1 would be
slower, as some CPUs are slow at the root of 0). Terms that no lane needs are skipped. Skipping changes no bit of a
lane's step while the lane's numbers are finite. In a lane that has overflowed, 0 * inf may give NaN where a skipped
term leaves inf, so a lane must end when its gradient is not finite. Schedules are in `hpo.optim.schedules`, penalties
and clipping in `hpo.optim.penalties`.

Shapes: K lanes, P parameters per lane.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.optim.coefficients import Coefficients

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneCoefficients:
    """The coefficients of K lanes that are the same for every step, as columns of the parameters' dtype, and which
    terms of the formula any lane needs."""

    momentum_K1: Tensor
    decay_K1: Tensor
    scale_K1: Tensor
    coupled_K1: Tensor
    sign_K1: Tensor
    any_momentum: bool
    """Whether m is updated; else n is the gradient and m does not change."""
    any_direct: bool
    """Whether n combines gradient and buffer."""
    any_second: bool
    """Whether v is updated; else it does not change."""
    any_coupled: bool
    any_decoupled: bool
    any_rectified: bool
    """Whether there may be steps without v."""
    any_sign: bool


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
    direct: Tensor
    """Weight of the gradient itself in n."""
    buffered: Tensor
    """Weight of m in n."""
    second: Tensor
    """1, or 0 at a step without v."""

    def at(self, step: int) -> StepColumns:
        """The columns of one of the steps."""
        return StepColumns(**{one.name: getattr(self, one.name)[step] for one in fields(self)})


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
        coupled_K1=column(lambda lane: lane.coupled),
        sign_K1=column(lambda lane: lane.sign) != 0.0,
        any_momentum=needed(lambda lane: lane.momentum != 0.0 or lane.sign),
        any_direct=needed(lambda lane: not lane.sign and (lane.direct != 0.0 or lane.momentum_decay is not None)),
        any_second=needed(lambda lane: lane.scale != 0.0),
        any_coupled=needed(lambda lane: lane.coupled != 0.0),
        any_decoupled=needed(lambda lane: lane.decoupled != 0.0),
        any_rectified=needed(lambda lane: lane.rectified),
        any_sign=needed(lambda lane: lane.sign),
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

    factor_SK = rate_SK / correction(lambda lane: lane.beta1) * root_SK / slowed_SK
    eps_SK = row(lambda lane: lane.eps) * root_SK
    second_SK = np.ones_like(root_SK)
    direct_SK = np.broadcast_to(row(lambda lane: lane.direct), root_SK.shape).copy()
    buffered_SK = np.broadcast_to(row(lambda lane: lane.buffered), root_SK.shape).copy()
    for k, lane in enumerate(lanes):
        if lane.momentum_decay is not None:
            direct_SK[:, k], buffered_SK[:, k] = _nadam_weights(lane.momentum, lane.momentum_decay, step_SK[:, k])
        if lane.rectified:
            found = [_rectification(lane.beta2, step) for step in step_SK[:, k].tolist()]
            second_SK[:, k] = [1.0 if one else 0.0 for one in found]
            factor_SK[:, k] *= [one or 1.0 / root for one, root in zip(found, root_SK[:, k].tolist(), strict=True)]
            eps_SK[:, k] = [lane.eps if one else 1.0 for one in found]  # without the bias correction, as in PyTorch

    # n / (sqrt(v) / root + eps) = n * root / (sqrt(v) + eps * root), which spares a pass over all parameters
    return StepColumns(
        rate=tensor(factor_SK),
        eps=tensor(eps_SK),
        shrink=tensor(1.0 - rate_SK * row(lambda lane: lane.decoupled)),
        damp=tensor(damp_SK),
        direct=tensor(direct_SK),
        buffered=tensor(buffered_SK),
        second=tensor(second_SK),
    )


def _nadam_weights(beta1: float, decay: float, step_S: NDArray[np.int64]) -> tuple[Numbers, Numbers]:
    """[S] weights of the gradient and of m at consecutive steps. The products begin with the first step of training, so
    that they are the same wherever training went on."""
    last = int(step_S.max(initial=0))
    faded = np.multiply.accumulate(np.full(last + 1, 0.96**decay))
    mu = beta1 * (1.0 - 0.5 * faded)
    product = np.multiply.accumulate(mu)[step_S - 1]
    return (1.0 - mu[step_S - 1]) / (1.0 - product), mu[step_S] / (1.0 - product * mu[step_S])


def _rectification(beta2: float, step: int) -> float | None:
    """RAdam's factor of the rate at a step, counted from 1; None: v is too uncertain to step by."""
    power = beta2**step
    longest = 2.0 / (1.0 - beta2) - 1.0
    length = longest - 2.0 * step * power / (1.0 - power)
    if length <= 5.0:
        return None
    share = (length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length)
    return math.sqrt(share)


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
        denominator_KP = torch.sqrt(v_KP, out=scratch_KP)
        if c.any_rectified:
            denominator_KP.mul_(now.second)
        denominator_KP.add_(now.eps)

    n_KP = grad_KP
    signed_KP = None
    if c.any_sign:
        signed_KP = (grad_KP * now.direct).addcmul_(m_KP, now.buffered).sign_()
    if c.any_momentum:
        m_KP.mul_(c.momentum_K1).addcmul_(grad_KP, now.damp)
        if c.any_direct:
            n_KP.mul_(now.direct).addcmul_(m_KP, now.buffered)
        else:
            n_KP = m_KP
    if signed_KP is not None:
        n_KP = torch.where(c.sign_K1, signed_KP, n_KP)
    step_KP = torch.mul(n_KP, now.rate, out=grad_KP)
    if denominator_KP is None:
        theta_KP.sub_(step_KP)
    else:
        theta_KP.addcdiv_(step_KP, denominator_KP, value=-1.0)
