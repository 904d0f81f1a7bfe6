"""Layers on images in stacked form, without convolutions. See `hpo.training.layers.dense` for what must hold.

Dimensions: K lanes, B examples, C channels, H height, W width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.training.layers.channels import is_channels_last
from hpo.training.layers.convolution import conv2d
from hpo.training.layers.dense import aten, dropout, like
from hpo.training.layers.frame import LayerContext, Pass, Rule


def max_pool(context: LayerContext, layer: nn.Module) -> Pass:
    """The largest value of each window. Channels last are several times as fast on CPU, including the copies."""
    assert isinstance(layer, nn.MaxPool2d)
    assert isinstance(layer.kernel_size, int)
    size = [layer.kernel_size] * 2

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, torch.Size]]:
        flat = x.flatten(0, 1)
        y, indices = aten.max_pool2d_with_indices(flat.contiguous(memory_format=torch.channels_last), size, size)
        if not is_channels_last(x):
            y, indices = y.contiguous(), indices.contiguous()
        return y.unflatten(0, x.shape[:2]), (flat, indices, x.shape)

    def backward(kept: tuple[Tensor, Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor:
        flat, indices, shape = kept
        g = like(g.flatten(0, 1), indices)
        found: Tensor = aten.max_pool2d_with_indices_backward(g, flat, size, size, [0, 0], [1, 1], False, indices)
        return found.view(*shape[:2], *found.shape[1:])

    return Pass(forward, backward)


def average_pool(context: LayerContext, layer: nn.Module) -> Pass:
    """The mean of each window."""
    assert isinstance(layer, nn.AvgPool2d)
    assert isinstance(layer.kernel_size, int)
    size = [layer.kernel_size] * 2
    rest = size, [0, 0], False, True, None

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        flat = x.flatten(0, 1)
        return F.avg_pool2d(flat, size).unflatten(0, x.shape[:2]), x

    def backward(x: Tensor, g: Tensor, wanted: bool) -> Tensor:
        memory = torch.channels_last if is_channels_last(x) else torch.contiguous_format
        found: Tensor = aten.avg_pool2d_backward(
            g.flatten(0, 1).contiguous(memory_format=memory), x.flatten(0, 1), size, *rest
        )
        return found.view(*x.shape[:2], *found.shape[1:])

    return Pass(forward, backward)


def global_average_pool(context: LayerContext, layer: nn.Module) -> Pass:
    """The mean of each channel, lane by lane: over all lanes at once it might be added up in another order."""

    def forward(x: Tensor) -> tuple[Tensor, torch.Size]:
        return torch.stack([lane.mean((2, 3), keepdim=True) for lane in x]), x.shape

    def backward(shape: torch.Size, g: Tensor, wanted: bool) -> Tensor:
        return (g * (1.0 / (shape[3] * shape[4]))).expand(shape).contiguous()

    return Pass(forward, backward)


IMAGES: dict[type[nn.Module], Rule] = {
    nn.AdaptiveAvgPool2d: global_average_pool,
    nn.AvgPool2d: average_pool,
    nn.Conv2d: conv2d,
    nn.Dropout2d: dropout,
    nn.MaxPool2d: max_pool,
}
"""Type of a plain layer -> how it is bound."""
