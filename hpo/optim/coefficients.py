"""The coefficients of every update rule in the common formula of `hpo.optim.rules`, from the record of an optimizer,
and what every optimizer keeps. Adafactor is not of that formula, see `hpo.optim.factored`.

No tensors: what changes with the steps is computed in `hpo.optim.rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from hpo.studyfile.records import Adafactor, Adagrad, Adam, AdamW, Lion, Nadam, Optimizer, Radam, Rmsprop, Sgd


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
    momentum_decay: float | None = None
    """Of NAdam, whose `direct` and `buffered` follow from it, `momentum` and the step; None: they are as above."""
    rectified: bool = False
    """Whether the step is that of RAdam: without v while v is too uncertain, then times its rectification."""
    sign: bool = False
    """Whether the step is the sign of n, with m from before the step."""


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


def _adam(optimizer: Adam | AdamW | Nadam | Radam) -> Coefficients:
    decoupled = isinstance(optimizer, AdamW) or getattr(optimizer, "decoupled_weight_decay", False)
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


def _nadam(optimizer: Nadam) -> Coefficients:
    return replace(
        _adam(optimizer),
        beta1=0.0,  # direct and buffered contain its bias correction
        momentum_decay=optimizer.momentum_decay,
    )


def _radam(optimizer: Radam) -> Coefficients:
    return replace(_adam(optimizer), rectified=True)


def _lion(optimizer: Lion) -> Coefficients:
    return Coefficients(
        momentum=optimizer.beta2,
        damp=1.0 - optimizer.beta2,
        damp_first=1.0 - optimizer.beta2,
        direct=1.0 - optimizer.beta1,
        buffered=optimizer.beta1,
        decoupled=optimizer.weight_decay,
        sign=True,
    )


RULES: dict[str, Callable[[Any], Coefficients]] = {
    "sgd": _sgd,
    "adagrad": _adagrad,
    "rmsprop": _rmsprop,
    "adam": _adam,
    "adamw": _adam,
    "nadam": _nadam,
    "radam": _radam,
    "lion": _lion,
}
"""Name in a study file -> function from the record to its coefficients; each steps like its namesake in
`torch.optim`, and lion, which is not there, as it was published."""


def coefficients_of(optimizer: Optimizer) -> Coefficients:
    """The numbers of the formula for one trial's optimizer, which must be one of `RULES`."""
    return RULES[optimizer.name](optimizer)


def state_tensors(optimizer: Optimizer) -> int:
    """Number of buffers of the parameters' size that a rule of `RULES` needs: sgd 0, with momentum 1, adagrad, rmsprop
    and lion 1, adam and its kin 2. (A program of many lanes has room for two in each.)"""
    lane = coefficients_of(optimizer)
    return sum((hasattr(optimizer, "beta1") or lane.momentum != 0.0, lane.scale != 0.0))


def state_bytes(optimizer: Optimizer, shapes: Iterable[tuple[int, ...]]) -> int:
    """Memory of what it keeps for tensors of these shapes, in float32."""
    if isinstance(optimizer, Adafactor):
        return 4 * sum(map(_factored, shapes))
    return 4 * state_tensors(optimizer) * sum(map(prod, shapes))


def _factored(shape: tuple[int, ...]) -> int:
    """Numbers that adafactor keeps for a tensor: of a matrix, means of its rows and columns."""
    size = prod(shape)
    return size if len(shape) < 2 else size // shape[-1] + size // shape[-2]


def initial_v(optimizer: Optimizer) -> float:
    """Value of every element of v before the first step."""
    return 0.0 if isinstance(optimizer, Adafactor) else coefficients_of(optimizer).initial_v
