"""From the steps of sequences to one vector, in K lanes. The plain layer is in `hpo.models.layers.pooling`.

Dimensions: K lanes, B examples, T steps, F features.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from hpo.models.layers.pooling import Pool
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.ragged.attention import POOLS


def pool(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, T, F] -> [K, B, F]."""
    assert isinstance(layer, Pool)
    if context.frame.ragged:
        return POOLS[layer.kind](context)
    if layer.kind == "last":
        return _last(context, layer.backward)
    return _greatest(context) if layer.kind == "max" else _mean(context)


def _mean(context: LayerContext) -> Pass:
    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, torch.Size]]:
        real = context.real
        if real is None:
            share = torch.full((1, 1, 1, 1), 1.0 / x.shape[2], dtype=x.dtype, device=x.device)
            return x.mean(2), (share, x.shape)
        behind = ~real.unsqueeze(3)
        share = real.sum(2).to(x.dtype).reciprocal()[..., None, None].masked_fill(behind, 0.0)
        return x.masked_fill(behind, 0.0).sum(2) / real.sum(2).to(x.dtype).unsqueeze(2), (share, x.shape)

    def backward(kept: tuple[Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor | None:
        share, shape = kept
        return (g.unsqueeze(2) * share).expand(shape).contiguous() if wanted else None

    return Pass(forward, backward)


def _greatest(context: LayerContext) -> Pass:
    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, torch.Size]]:
        real = context.real
        if real is not None:
            x = x.masked_fill(~real.unsqueeze(3), torch.finfo(x.dtype).min)
        value, place = x.max(2)
        return value, (place.unsqueeze(2), x.shape)

    def backward(kept: tuple[Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor | None:
        place, shape = kept
        return g.new_zeros(shape).scatter_(2, place, g.unsqueeze(2)) if wanted else None

    return Pass(forward, backward)


def _last(context: LayerContext, back: int) -> Pass:
    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, torch.Size]]:
        real, ahead = context.real, x.shape[3] - back
        whole = torch.tensor(x.shape[2] - 1, device=x.device).expand(x.shape[:2])
        last = whole if real is None else real.sum(2) - 1
        place = last[..., None, None].expand(-1, -1, 1, ahead)
        y = x[..., :ahead].gather(2, place).squeeze(2)
        return (torch.cat([y, x[:, :, 0, ahead:]], 2) if back else y), (place, x.shape)

    def backward(kept: Any, g: Tensor, wanted: bool) -> Tensor | None:
        place, shape = kept
        if not wanted:
            return None
        ahead, found = shape[3] - back, g.new_zeros(shape)
        found[..., :ahead].scatter_(2, place, g[..., :ahead].unsqueeze(2))
        if back:
            found[:, :, 0, ahead:] = g[..., ahead:]
        return found

    return Pass(forward, backward)


POOLING: dict[type[nn.Module], Rule] = {Pool: pool}
"""Type of a plain layer -> how it is bound."""
