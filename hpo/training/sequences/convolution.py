"""Convolution and pooling along the steps of sequences in K lanes. The plain layers are in
`hpo.models.layers.step_convolution`.

A convolution is one batched product over the windows of all examples, or, where each feature is on its own, a sum over
the places of the kernel.

Dimensions: K lanes, B examples, T steps, S steps that are left, F features, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.models.layers.step_convolution import SkipStepConv, StepConv, StepPool
from hpo.training.layers.biases import Bias
from hpo.training.layers.dense import no_backward, product
from hpo.training.layers.flow import kept_input
from hpo.training.layers.frame import LayerContext, Pass, Rule


def step_conv(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, T, F] -> [K, B, S, O]."""
    assert isinstance(layer, StepConv)
    one = _convolution(context, layer)

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        real = context.real
        if real is not None:
            x = x.masked_fill(~real.unsqueeze(3), 0.0)
            context.frame.real = real[:, :, :: layer.stride[0]]
        y, kept = one.forward(x)
        return y, (kept, real)

    def backward(both: tuple[Any, Tensor | None], g: Tensor, wanted: bool) -> Tensor | None:
        kept, real = both
        back = one.backward(kept, g, wanted)
        return back if back is None or real is None else back.masked_fill_(~real.unsqueeze(3), 0.0)

    return Pass(forward, backward)


def skip_step_conv(context: LayerContext, layer: nn.Module) -> Pass:
    """Begins a residual block of other features or steps."""
    assert isinstance(layer, SkipStepConv)
    return kept_input(context, _convolution(context, layer))


def _convolution(context: LayerContext, layer: nn.Conv1d) -> Pass:
    outputs, kernel, stride = layer.out_channels, layer.kernel_size[0], layer.stride[0]
    assert not isinstance(layer.padding, str)
    padding = layer.padding[0]
    shape = (outputs, layer.in_channels // layer.groups, kernel)
    weight, bias = context.parameter("weight", shape), Bias.of(context, outputs)
    bias_K1O = None if bias.values_KO is None else bias.values_KO.unsqueeze(1)
    alone = layer.groups > 1  # each feature is on its own
    assert layer.groups in (1, layer.in_channels)

    def windows(padded: Tensor) -> list[Tensor]:
        """[K, B, S, F] for each place of the kernel, as views."""
        count = (padded.shape[2] - kernel) // stride + 1
        return [padded[:, :, j : j + stride * (count - 1) + 1 : stride] for j in range(kernel)]

    def kernels() -> Tensor:
        """[K, O, kernel * F], or [K, 1, kernel, O] where each feature is on its own."""
        return weight.permute(0, 2, 3, 1) if alone else weight.transpose(2, 3).flatten(2)

    def forward(x: Tensor) -> tuple[Tensor, tuple[Any, torch.Size]]:
        seen = windows(F.pad(x, (0, 0, padding, padding)))
        if alone:
            w = kernels()
            y = seen[0] * w[:, :, None, 0]
            for j in range(1, kernel):
                y = y + seen[j] * w[:, :, None, j]
            return (y if bias_K1O is None else y + bias_K1O.unsqueeze(1)), (seen, x.shape)
        columns = torch.cat(seen, 3).flatten(1, 2)
        y = product(columns, kernels().transpose(1, 2), bias_K1O)
        return y.unflatten(1, (x.shape[1], -1)), (columns, x.shape)

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_weight = context.gradient("weight", shape)

    def backward(kept: tuple[Any, torch.Size], g: Tensor, wanted: bool) -> Tensor | None:
        seen, size = kept
        rows = g.flatten(1, 2)
        if bias.gradient_KO is not None:
            bias.write_gradient_sum(rows)
        if alone:
            found = [(one * g).flatten(1, 2).sum(1) for one in seen]
            d_weight.copy_(torch.stack(found, 2).unsqueeze(2))
        else:
            d_kernels = product(rows.transpose(1, 2), seen)
            d_weight.copy_(d_kernels.unflatten(2, (kernel, -1)).transpose(2, 3))
        if not wanted:
            return None
        lanes, examples, steps, features = size
        d_padded = g.new_zeros(lanes, examples, steps + 2 * padding, features)
        if alone:
            w = kernels()
            parts = [g * w[:, :, None, j] for j in range(kernel)]
        else:
            parts = list(product(rows, kernels()).unflatten(1, (examples, -1)).split(features, 3))
        for into, part in zip(windows(d_padded), parts, strict=True):
            into += part
        return d_padded[:, :, padding : padding + steps].contiguous()

    return Pass(forward, backward)


def step_pool(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, T, F] -> [K, B, S, F]."""
    assert isinstance(layer, StepPool)
    average = layer.kind == "average"

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        real, steps = context.real, x.shape[2]
        if real is None:
            real = torch.ones(1, 1, steps, dtype=torch.bool, device=x.device)
        else:
            context.frame.real = real[:, :, ::2]
        odd = steps % 2
        pairs = F.pad(x, (0, 0, 0, odd)).unflatten(2, (-1, 2))
        absent = ~F.pad(real, (0, odd)).unflatten(2, (-1, 2)).unsqueeze(4)
        if average:
            share = (~absent).to(x.dtype) / (~absent).sum(3, keepdim=True).clamp(min=1).to(x.dtype)
            return (pairs[:, :, :, 0] * share[:, :, :, 0]) + (pairs[:, :, :, 1] * share[:, :, :, 1]), (share, x.shape)
        first, second = pairs.unbind(3)
        taken = (second > first) & ~absent[:, :, :, 1]
        best = torch.where(taken, second, first).masked_fill(absent[:, :, :, 0], 0.0)
        chosen = torch.stack([~taken, taken], 3) & ~absent
        return best, (chosen, x.shape)

    def backward(kept: tuple[Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor | None:
        share, shape = kept
        if not wanted:
            return None
        return (g.unsqueeze(3) * share).flatten(2, 3)[:, :, : shape[2]].contiguous()

    return Pass(forward, backward)


STEP_CONVOLUTIONS: dict[type[nn.Module], Rule] = {
    StepConv: step_conv,
    SkipStepConv: skip_step_conv,
    StepPool: step_pool,
}
"""Type of a plain layer -> how it is bound."""
