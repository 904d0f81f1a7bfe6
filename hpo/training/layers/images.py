"""Layers on images in stacked form. See `hpo.training.layers.dense` for what must hold.

Dimensions: K lanes, B examples, C channels, H height, W width, O outputs.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.training.layers.biases import Bias
from hpo.training.layers.dense import aten, dropout, no_backward, product
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.layout import ALIGNMENT


def conv2d(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, C, H, W] -> [K, B, O, H, W], with padding that keeps the size.

    A grouped convolution is faster. But where a lane has few channels or an odd number of them, its results depend on K
    (measured on CPU); those of a batched product over shifted images do not.
    """
    assert isinstance(layer, nn.Conv2d)
    grouped = layer.in_channels % 8 == 0 and layer.out_channels % 8 == 0
    return (_conv_by_groups if grouped else _conv_by_shifts)(context, layer)


def _conv_by_groups(context: LayerContext, layer: nn.Conv2d) -> Pass:
    outputs, channels, kernel = layer.out_channels, layer.in_channels, layer.kernel_size[0]
    shape = (outputs, channels, kernel, kernel)
    weight = context.parameter("weight", shape)
    bias = Bias.of(context, outputs)
    k = len(weight)
    groups = max(k, 2)  # one group takes another algorithm, which rounds differently
    weights = weight.expand(groups, *shape) if k == 1 else weight
    padding = kernel // 2

    def side_by_side(x: Tensor) -> Tensor:
        """[K, B, C, H, W] -> [B, K * C, H, W]."""
        wide = x.expand(groups, *x.shape[1:]) if k == 1 else x
        return wide.transpose(0, 1).reshape(x.shape[1], -1, *x.shape[3:])

    def lane_by_lane(z: Tensor, channels: int) -> Tensor:
        return z.view(z.shape[0], groups, channels, *z.shape[2:]).transpose(0, 1)[:k].contiguous()

    def kernels() -> Tensor:
        return weights.reshape(groups * outputs, *shape[1:])

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        wide = side_by_side(x)
        biases = None if bias.values_KO is None else bias.values_KO.expand(groups, -1).reshape(-1)
        z = F.conv2d(wide, kernels(), biases, padding=padding, groups=groups)
        return lane_by_lane(z, outputs), wide

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_weight = context.gradient("weight", shape)

    def backward(wide: Tensor, g: Tensor, wanted: bool) -> Tensor | None:
        d_wide, d_kernels, d_biases = aten.convolution_backward(
            side_by_side(g),
            wide,
            kernels(),
            [groups * outputs],
            [1, 1],
            [padding, padding],
            [1, 1],
            False,
            [0, 0],
            groups,
            [wanted, True, bias.gradient_KO is not None],
        )
        d_weight.copy_(d_kernels.view(groups, *shape)[:k])
        if d_biases is not None:
            bias.write_gradient(d_biases.view(groups, outputs)[:k])
        return lane_by_lane(d_wide, channels) if wanted else None

    return Pass(forward, backward)


def _conv_by_shifts(context: LayerContext, layer: nn.Conv2d) -> Pass:
    outputs, channels, kernel = layer.out_channels, layer.in_channels, layer.kernel_size[0]
    shape = (outputs, channels, kernel, kernel)
    weight = context.parameter("weight", shape)
    bias = Bias.of(context, outputs)
    bias_KO1 = None if bias.values_KO is None else bias.values_KO.unsqueeze(2)
    k, depth, padding = len(weight), channels * kernel * kernel, kernel // 2
    spare = -depth % ALIGNMENT
    shifts = [(i, j) for i in range(kernel) for j in range(kernel)]

    def kernels() -> Tensor:
        """[K, O, depth + spare], by shift and then channel."""
        return F.pad(weight.permute(0, 1, 3, 4, 2).reshape(k, outputs, depth), (0, spare))

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, torch.Size]]:
        _, batch, _, height, width = x.shape
        padded = F.pad(x.transpose(1, 2), [padding] * 4)
        planes = [padded[..., i : i + height, j : j + width] for i, j in shifts]
        shifted = torch.cat([*planes, x.new_zeros(k, spare, batch, height, width)], 1).flatten(2)
        z = product(kernels(), shifted, bias_KO1)
        return z.view(k, outputs, batch, height, width).transpose(1, 2).contiguous(), (shifted, x.shape)

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_weight = context.gradient("weight", shape)

    def backward(kept: tuple[Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor | None:
        shifted, (_, batch, _, height, width) = kept
        g = g.transpose(1, 2).reshape(k, outputs, -1)
        d_kernels = product(g, shifted.transpose(1, 2))[:, :, :depth].view(k, outputs, kernel, kernel, channels)
        d_weight.copy_(d_kernels.permute(0, 1, 4, 2, 3))
        if bias.gradient_KO is not None:
            bias.write_gradient(g.sum(2))
        if not wanted:
            return None
        d_shifted = product(kernels().transpose(1, 2), g)[:, :depth]
        pieces = d_shifted.view(k, len(shifts), channels, batch, height, width).unbind(1)
        d_padded = g.new_zeros(k, channels, batch, height + 2 * padding, width + 2 * padding)
        for (i, j), piece in zip(shifts, pieces, strict=True):
            d_padded[..., i : i + height, j : j + width] += piece
        inner = d_padded[..., padding : padding + height, padding : padding + width]
        return inner.transpose(1, 2).contiguous()

    return Pass(forward, backward)


def max_pool(context: LayerContext, layer: nn.Module) -> Pass:
    """The largest value of each window. Channels last are several times as fast on CPU, including the copies."""
    assert isinstance(layer, nn.MaxPool2d)
    assert isinstance(layer.kernel_size, int)
    size = [layer.kernel_size] * 2

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, torch.Size]]:
        flat = x.flatten(0, 1)
        y, indices = aten.max_pool2d_with_indices(flat.contiguous(memory_format=torch.channels_last), size, size)
        return y.contiguous().view(*x.shape[:2], *y.shape[1:]), (flat, indices.contiguous(), x.shape)

    def backward(kept: tuple[Tensor, Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor:
        flat, indices, shape = kept
        found: Tensor = aten.max_pool2d_with_indices_backward(
            g.flatten(0, 1).contiguous(), flat, size, size, [0, 0], [1, 1], False, indices
        )
        return found.view(shape)

    return Pass(forward, backward)


IMAGES: dict[type[nn.Module], Rule] = {nn.Conv2d: conv2d, nn.Dropout2d: dropout, nn.MaxPool2d: max_pool}
"""Type of a plain layer -> how it is bound."""
