"""Attention of K lanes with dropout, a few examples at a time, whose scores stay in the processor's cache.

The backward pass computes the scores and the masks again, which is faster than keeping them in memory.

Dimensions: K lanes, B examples, H heads, L places that ask, S places that answer, E features, V of the values.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpo.training.custom.over_lanes import LaneP, give_back, mask_of, take

IN_CACHE = 2**18
"""Scores that are computed together at most."""


def attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, key_K: Tensor | None, scale: float | None, p: float, call: int
) -> Tensor:
    """[K, B, H, L, E], [K, B, H, S, E], [K, B, H, S, V] -> [K, B, H, L, V]. `mask`: added to the scores, or False where
    a place does not answer, [K, B, H, L, S] or 1 for any of them; its gradient is not computed. A place that nobody
    answers gets 0. `key_K`, `call`: of the dropout masks, drawn where p > 0."""
    scale = 1 / math.sqrt(q.shape[-1]) if scale is None else scale
    found: Tensor = _Attention.apply(q, k, v, mask, key_K, scale, p, call)  # type: ignore[no-untyped-call]
    return found


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        key_K: Tensor | None,
        scale: float,
        p: float,
        call: int,
    ) -> Tensor:
        y = q.new_empty(*q.shape[:-1], v.shape[-1])
        ctx.save_for_backward(q, k, v, mask, key_K)
        ctx.numbers = scale, p, call
        for part in _Part.all(q, k, v, mask, key_K, ctx.numbers):
            weights, dropped = part.weights()
            given = weights if dropped is None else weights.mul_(dropped)
            y[part.at] = torch.bmm(given, part.v).view(y[part.at].shape)
            give_back(weights)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        q, k, v, mask, key_K = ctx.saved_tensors
        scale = ctx.numbers[0]
        dq, dk, dv = (torch.empty_like(one, memory_format=torch.contiguous_format) for one in (q, k, v))
        for part in _Part.all(q, k, v, mask, key_K, ctx.numbers):
            weights, dropped = part.weights()
            g = dy[part.at].flatten(0, 1)
            slope, other = take(q, *weights.shape), take(q, *weights.shape)
            torch.bmm(g, part.v.transpose(1, 2), out=slope)
            given = weights if dropped is None else torch.mul(weights, dropped, out=other)
            dv[part.at] = torch.bmm(given.transpose(1, 2), g).view(dv[part.at].shape)
            if dropped is not None:
                slope.mul_(dropped)
            torch._softmax_backward_data(slope, weights, -1, weights.dtype, grad_input=other)
            none = other.new_zeros(())
            dq[part.at] = torch.baddbmm(none, other, part.k, beta=0, alpha=scale).view(dq[part.at].shape)
            dk[part.at] = torch.baddbmm(none, other.transpose(1, 2), part.q, beta=0, alpha=scale).view(dk[part.at].shape)
            give_back(weights, slope, other)
        return dq, dk, dv, None, None, None, None, None


class _Part:
    """Some examples of a lane."""

    def __init__(self, at: tuple[int, slice], q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> None:
        self.at = at
        self.q, self.k, self.v = (one[at].flatten(0, 1) for one in (q, k, v))
        self.heads = q.shape[2]
        self.mask = None if mask is None else mask[at[0] if len(mask) > 1 else 0, at[1] if mask.shape[1] > 1 else slice(None)]
        self.key: Tensor | None = None
        self.numbers = 1.0, 0.0, 0

    @classmethod
    def all(
        cls, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, key_K: Tensor | None, numbers: tuple[float, float, int]
    ) -> Iterator[_Part]:
        lanes, batch, heads, asking = q.shape[:4]
        many = max(1, IN_CACHE // (heads * asking * k.shape[3]))
        parts = -(-batch // many)
        p = numbers[1].lanes if isinstance(numbers[1], LaneP) else (numbers[1],) * lanes
        for lane in range(lanes):
            for number in range(parts):
                part = cls((lane, slice(number * many, (number + 1) * many)), q, k, v, mask)
                part.key = None if key_K is None else key_K[lane : lane + 1]
                part.numbers = numbers[0], p[lane], numbers[2] * parts + number
                yield part

    def weights(self) -> tuple[Tensor, Tensor | None]:
        """[B*H, L, S] weights of the answers before dropout, in memory to be given back, and the dropout mask."""
        scale, p, call = self.numbers
        shape = len(self.q), self.q.shape[1], self.k.shape[1]
        scores, weights = take(self.q, *shape), take(self.q, *shape)
        torch.baddbmm(scores, self.q, self.k.transpose(1, 2), beta=0, alpha=scale, out=scores)
        nobody = None
        if self.mask is not None:
            by_head = scores.view(-1, self.heads, *shape[1:])
            if self.mask.dtype == torch.bool:
                by_head.masked_fill_(~self.mask, -math.inf)
                nobody = ~self.mask.any(-1, keepdim=True)
            else:
                by_head.add_(self.mask)
                nobody = (self.mask == -math.inf).all(-1, keepdim=True)
        torch.softmax(scores, -1, out=weights)
        give_back(scores)
        if nobody is not None and bool(nobody.any()):
            weights.view(-1, self.heads, *shape[1:]).masked_fill_(nobody, 0.0)
        if p == 0 or self.key is None:
            return weights, None
        return weights, mask_of(self.key, weights.numel(), p, call, weights.dtype).view(shape)
