"""Normalisation of the steps of sequences in K lanes. The plain layers are in `hpo.models.layers.step_norms`.

Dimensions: K lanes, B examples, T steps, F features.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

from hpo.models.layers.step_norms import StepBatchNorm, StepGroupNorm
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.layers.norms import batch_norm_1d, by_step, group_norm


def step_batch_norm(context: LayerContext, layer: nn.Module) -> Pass:
    """Statistics per lane and feature, of the batch's real steps in training, running averages at inference."""
    assert isinstance(layer, StepBatchNorm)
    whole = by_step(batch_norm_1d(context, layer))
    if not context.frame.training:
        return whole
    shape, affine, eps = (layer.num_features,), layer.affine, layer.eps
    scale, shift = (context.parameter(which, shape).unsqueeze(1) if affine else None for which in ("weight", "bias"))
    mean, variance = (context.batch_stat(f"running_{which}", shape).unsqueeze(1) for which in ("mean", "var"))

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        if context.real is None:
            return whole.forward(x)
        real = context.real.flatten(1).unsqueeze(2).to(x.dtype)
        count = real.sum(1, keepdim=True)
        rows = x.flatten(1, 2)
        torch.div((rows * real).sum(1, keepdim=True), count, out=mean)
        centred = (rows - mean).mul_(real)
        square = (centred * centred).sum(1, keepdim=True)
        inverse_root = (square / count + eps).rsqrt()
        torch.div(square, (count - 1).clamp_(min=1), out=variance)
        xhat = centred.mul_(inverse_root)
        y = xhat if scale is None or shift is None else torch.addcmul(shift, xhat, scale).mul_(real)
        return y.view(x.shape), (xhat, inverse_root, real, count)

    def backward(kept: Any, g: Tensor, wanted: bool) -> Tensor | None:
        if len(kept) == 2:
            return whole.backward(kept, g, wanted)
        xhat, inverse_root, real, count = cast(tuple[Tensor, ...], kept)
        rows = g.flatten(1, 2) * real
        sums, product_sums = rows.sum(1, keepdim=True), (rows * xhat).sum(1, keepdim=True)
        if affine:
            context.gradient("bias", shape).unsqueeze(1).copy_(sums)
            context.gradient("weight", shape).unsqueeze(1).copy_(product_sums)
        if not wanted:
            return None
        centred = (rows - sums / count).addcmul_(xhat, product_sums / count, value=-1.0).mul_(real)
        centred.mul_(inverse_root if scale is None else inverse_root * scale)
        return centred.view(g.shape)

    return Pass(forward, backward)


def step_group_norm(context: LayerContext, layer: nn.Module) -> Pass:
    """Statistics over groups of each step's features."""
    return by_step(group_norm(context, layer))


STEP_NORMS: dict[type[nn.Module], Rule] = {StepBatchNorm: step_batch_norm, StepGroupNorm: step_group_norm}
"""Type of a plain layer -> how it is bound."""
