"""Attention of K lanes, lane by lane: batching it gains nothing, and PyTorch's own has no batched form.

Without dropout it is PyTorch's own. With dropout, the weights and the masks of a lane, which are its largest tensors,
lie in memory that the next step uses again: getting memory from the system takes as long as filling it.

Dimensions: K lanes, B examples, H heads, L places that ask, S places that answer, E features, V of the values.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpo.training.custom.over_lanes import LaneP, give_back, mask_of, take


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, key_K: Tensor, scale: float | None, p: float, call: int
) -> Tensor:
    """[K, B, H, L, E], [K, B, H, S, E], [K, B, H, S, V] -> [K, B, H, L, V]. `mask`: added to the scores, or False where
    a place does not answer, [K, B, H, L, S] or 1 for any but the first. `key_K`, `call`: of the dropout masks, drawn
    where p > 0."""
    each = p.lanes if isinstance(p, LaneP) else (p,) * len(q)
    found = []
    for lane, mine in enumerate(each):
        at = None if mask is None else mask[lane]
        size = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
        key = key_K[lane : lane + 1]
        if mine == 0:
            y = F.scaled_dot_product_attention(q[lane], k[lane], v[lane], at, scale=scale)
        elif at is not None and at.requires_grad:
            weights = torch._safe_softmax(torch.matmul(q[lane], k[lane].mT) * size + at, -1)
            y = torch.matmul(weights * mask_of(key, weights.numel(), mine, call, q.dtype).view(weights.shape), v[lane])
        else:
            given = q[lane], k[lane], v[lane], at, key, size, mine, call
            y = _Attention.apply(*given)  # type: ignore[no-untyped-call]  # torch gives it no types
        found.append(y)
    return torch.stack(found)


class _Attention(torch.autograd.Function):
    """Of one lane, with dropout."""

    @staticmethod
    def forward(
        ctx: Any, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, key: Tensor, scale: float, p: float, call: int
    ) -> Tensor:
        batch, heads, asking, _ = q.shape
        rows = [one.flatten(0, 1) for one in (q, k, v)]
        shape = batch * heads, asking, k.shape[2]
        scores, weights = take(q, *shape), take(q, *shape)
        torch.baddbmm(scores, rows[0], rows[1].transpose(1, 2), beta=0, alpha=scale, out=scores)
        nobody = None
        if mask is not None:
            by_head = scores.view(batch, heads, *shape[1:])
            off = ~mask if mask.dtype == torch.bool else mask == -math.inf
            nobody = off.all(-1, keepdim=True)
            if mask.dtype == torch.bool:
                by_head.masked_fill_(off, -math.inf)
            else:
                by_head.add_(mask)
        torch.softmax(scores, -1, out=weights)
        if nobody is not None and bool(nobody.any()):  # a place that nobody answers gets 0
            weights.view(batch, heads, *shape[1:]).masked_fill_(nobody, 0.0)
        drops = mask_of(key, weights.numel(), p, call, weights.dtype).view(shape)
        y = torch.bmm(torch.mul(weights, drops, out=scores), rows[2])
        give_back(scores)
        ctx.save_for_backward(q, k, v)
        ctx.kept, ctx.scale = (weights, drops) if any(ctx.needs_input_grad) else None, scale
        if ctx.kept is None:
            give_back(weights)
        return y.view(batch, heads, asking, -1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        q, k, v = (one.flatten(0, 1) for one in ctx.saved_tensors)
        (weights, drops), ctx.kept = ctx.kept, None
        slope, other = take(q, *weights.shape), take(q, *weights.shape)
        g = dy.flatten(0, 1)
        dv = torch.bmm(torch.mul(weights, drops, out=other).transpose(1, 2), g)
        torch.bmm(g, v.transpose(1, 2), out=slope).mul_(drops)
        torch._softmax_backward_data(slope, weights, -1, weights.dtype, grad_input=other)
        none = other.new_zeros(())
        dq = torch.baddbmm(none, other, k, beta=0, alpha=ctx.scale)
        dk = torch.baddbmm(none, other.transpose(1, 2), q, beta=0, alpha=ctx.scale)
        give_back(weights, slope, other)
        found = (one.view(like.shape) for one, like in zip((dq, dk, dv), ctx.saved_tensors, strict=True))
        return *found, None, None, None, None, None
