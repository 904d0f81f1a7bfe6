"""Adafactor (Shazeer & Stern 2018) for lanes side by side, as `torch.optim.Adafactor` has it.

With t the step counted from 1, rate its learning rate and g the gradient of a tensor theta of one lane:

    share    = t^beta2_decay
    size     = max(eps2, RMS(theta)) * min(rate, 1 / sqrt(t))
    theta    = theta * (1 - rate * weight_decay)
    row      = (1 - share) * row + share * mean of g^2 over the last dimension
    column   = (1 - share) * column + share * mean of g^2 over the last but one
    v        = row * column / max(mean of row over the last but one, eps)
    n        = g / sqrt(max(v, eps^2))
    theta    = theta - size / max(1, RMS(n) / clip_threshold) * n

A tensor of fewer than two dimensions has v = (1 - share) * v + share * g^2. Rows are kept where other rules have m,
and columns, or v, where these have v: neither is larger than the tensor.

What is computed number by number is computed for whole rows of parameters, or by operations that round alike in vector
and scalar code, so that a lane's numbers do not depend on how many lanes there are.

Shapes: S steps, K lanes, P parameters per lane, N numbers of a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Places = Sequence[tuple[int, tuple[int, ...]]]
"""Where the tensors of a lane are: the first of its numbers in the row, and its shape."""


class _Slots:
    """One tensor of all lanes, and what is kept for it."""

    def __init__(
        self, place: tuple[int, tuple[int, ...]], theta_KP: Tensor, scratch_KP: Tensor, m_KP: Tensor, v_KP: Tensor
    ) -> None:
        start, shape = place

        def views(rows_KP: Tensor, shape: tuple[int, ...]) -> Tensor:
            return rows_KP[:, start : start + prod(shape)].view(-1, *shape)

        self.factored, self.root = len(shape) > 1, math.sqrt(prod(shape))
        self.theta_KN, self.flat_KN = (views(rows, (prod(shape),)) for rows in (theta_KP, scratch_KP))
        self.scratch = views(scratch_KP, shape)
        if self.factored:
            self.row = views(m_KP, (*shape[:-1], 1))
            self.column = views(v_KP, (*shape[:-2], 1, shape[-1]))
        else:
            self.v_KN = views(v_KP, (prod(shape),))

    def estimate_(self, keep_K1: Tensor, share_K1: Tensor, eps_K1: Tensor) -> None:
        """Takes the squared gradient from the scratch, and writes v there."""
        if not self.factored:
            self.v_KN.mul_(keep_K1).add_(self.flat_KN * share_K1)
            self.flat_KN.copy_(self.v_KN)
            return
        lanes = (-1, *[1] * (self.scratch.dim() - 1))
        keep, share = keep_K1.view(lanes), share_K1.view(lanes)
        self.row.mul_(keep).add_(self.scratch.mean(-1, keepdim=True).mul_(share))
        self.column.mul_(keep).add_(self.scratch.mean(-2, keepdim=True).mul_(share))
        scale = torch.maximum(self.row.mean(-2, keepdim=True), eps_K1.view(lanes))
        torch.mul(self.row, self.column, out=self.scratch).div_(scale)


def updater(
    optimizers: Sequence[Any],
    tensors: tuple[Tensor, Tensor, Tensor, Tensor],
    rate_SK: NDArray[np.float64],
    done: Sequence[int],
    places: Places,
) -> Callable[[int], None]:
    """Returns a function that makes step s of S of every lane, in place on theta, m and v of `tensors` (theta,
    gradient, m, v; [K, P] each). The gradient must have been written before each call. Lanes start with m = v = 0.

    `optimizers`: of each lane an `Adafactor`. `done`: number of steps that each lane has made before.
    """
    theta_KP, gradient_KP, m_KP, v_KP = tensors
    scratch_KP = torch.empty_like(theta_KP)
    slots = [_Slots(place, theta_KP, scratch_KP, m_KP, v_KP) for place in places]

    def columns(values_SK: object) -> Tensor:
        return torch.from_numpy(np.array(values_SK, dtype=np.float64)).to(theta_KP).unsqueeze(-1)

    step_SK = np.arange(1, len(rate_SK) + 1)[:, None] + np.asarray(done)[None, :]
    # One by one: powers of many at once would be rounded otherwise than those of few.
    share_SK = np.array([[t**o.beta2_decay for t, o in zip(row, optimizers, strict=True)] for row in step_SK.tolist()])
    keep_SK1, share_SK1 = columns(1.0 - share_SK), columns(share_SK)
    rate_SK1 = columns(np.minimum(rate_SK, 1.0 / np.sqrt(step_SK)))
    shrink_SK1 = columns(1.0 - rate_SK * np.array([o.weight_decay for o in optimizers]))
    decays = any(o.weight_decay for o in optimizers)
    eps_K1, eps2_K1, most_K1 = (
        columns([getattr(o, name) for o in optimizers]) for name in ("eps", "eps2", "clip_threshold")
    )

    def update(s: int) -> None:
        sizes = [
            torch.maximum(torch.linalg.vector_norm(one.theta_KN, dim=1, keepdim=True) / one.root, eps2_K1) * rate_SK1[s]
            for one in slots
        ]
        if decays:
            theta_KP.mul_(shrink_SK1[s])
        torch.mul(gradient_KP, gradient_KP, out=scratch_KP)
        for one in slots:
            one.estimate_(keep_SK1[s], share_SK1[s], eps_K1)
        torch.maximum(scratch_KP, eps_K1 * eps_K1, out=scratch_KP).rsqrt_().mul_(gradient_KP)
        for one, size_K1 in zip(slots, sizes, strict=True):
            norm_K1 = torch.linalg.vector_norm(one.flat_KN, dim=1, keepdim=True)
            one.flat_KN.mul_(size_K1 / (norm_K1 / (one.root * most_K1)).clamp(min=1.0))
        theta_KP.sub_(scratch_KP)

    return update
