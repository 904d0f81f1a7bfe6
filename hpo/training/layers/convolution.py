"""Convolutions in stacked form. See `hpo.training.layers.dense` for what must hold.

Three forms, chosen by shape alone, each the fastest where it is taken (measured on CPU):

- large images lane by lane, or, of a single channel, as a product over shifted images, of which the gradient is several
  times as fast. Channels are last in memory, as in the outputs then;
- small images, where the calls would take longer than the arithmetic, as one grouped convolution;
- where a lane of these has few channels or an odd number of them, so that the results of a grouped convolution would
  depend on K: as a batched product over shifted images.

Dimensions: K lanes, B examples, C channels, H height, W width, O outputs.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.conventions import LARGE_IMAGES_BY_LANE
from hpo.training.layers.biases import Bias
from hpo.training.layers.channels import channels_last
from hpo.training.layers.dense import aten, no_backward, product
from hpo.training.layers.frame import LayerContext, Pass
from hpo.training.layout import ALIGNMENT

LARGE = 2**16
"""Numbers of a lane's input or output from which its images are large."""


def conv2d(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, C, H, W] -> [K, B, O, H, W]."""
    assert isinstance(layer, nn.Conv2d)
    square = layer.kernel_size[0] == layer.kernel_size[1] and layer.padding == (layer.kernel_size[0] // 2,) * 2
    simple = square and layer.stride == (1, 1) and layer.groups == 1
    whole = layer.in_channels % 8 == 0 and layer.out_channels % 8 == 0
    together = _conv_by_shifts(context, layer) if simple and not whole else _conv_by_groups(context, layer)
    single = simple and layer.in_channels == 1
    apart = _conv_by_shifts(context, layer, last=True) if single else _conv_by_lane(context, layer)

    def form(x: Tensor) -> Pass:
        if x.is_cuda:
            return together
        if not simple:
            return apart
        size = max(layer.in_channels, layer.out_channels) * x.shape[1] * x.shape[3] * x.shape[4]
        by_lane = context.frame.conventions >= LARGE_IMAGES_BY_LANE
        return apart if by_lane and size >= LARGE else together

    def forward(x: Tensor) -> tuple[Tensor, tuple[Pass, Any]]:
        one = form(x)
        y, kept = one.forward(x)
        return y, (one, kept)

    def backward(kept: tuple[Pass, Any], g: Tensor, wanted: bool) -> Tensor | None:
        one, needed = kept
        return one.backward(needed, g, wanted)

    return Pass(forward, backward)


def _side_by_side(lanes: list[Tensor]) -> Tensor:
    """Images with channels last of each lane -> [K, B, C, H, W]."""
    if len(lanes) == 1:
        return channels_last(lanes[0]).unsqueeze(0)
    return torch.stack([lane.permute(0, 2, 3, 1) for lane in lanes]).permute(0, 1, 4, 2, 3)


def _conv_by_lane(context: LayerContext, layer: nn.Conv2d) -> Pass:
    outputs, shape = layer.out_channels, tuple(layer.weight.shape)
    weight = context.parameter("weight", shape)
    bias = Bias.of(context, outputs)
    stride, padding, groups = layer.stride, layer.padding, layer.groups
    assert isinstance(padding, tuple)

    def forward(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        images = [channels_last(lane) for lane in x]
        biases = [None] * len(images) if bias.values_KO is None else bias.values_KO
        done = zip(images, weight, biases, strict=True)
        return _side_by_side([F.conv2d(one, w, b, stride, padding, 1, groups) for one, w, b in done]), images

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_weight = context.gradient("weight", shape)

    def backward(images: list[Tensor], g: Tensor, wanted: bool) -> Tensor | None:
        found, d_biases = [], []
        mask = [wanted, True, bias.gradient_KO is not None]
        for one, w, d_w, lane in zip(images, weight, d_weight, g, strict=True):
            d_one, d_kernels, d_bias = aten.convolution_backward(
                channels_last(lane), one, w, [outputs], stride, padding, [1, 1], False, [0, 0], groups, mask
            )
            d_w.copy_(d_kernels)
            d_biases.append(d_bias)
            found.append(d_one)
        if bias.gradient_KO is not None:
            bias.write_gradient(torch.stack(d_biases))
        return _side_by_side(found) if wanted else None

    return Pass(forward, backward)


def _conv_by_groups(context: LayerContext, layer: nn.Conv2d) -> Pass:
    outputs, channels, shape = layer.out_channels, layer.in_channels, tuple(layer.weight.shape)
    weight = context.parameter("weight", shape)
    bias = Bias.of(context, outputs)
    k = len(weight)
    groups = max(k, 2)  # one group takes another algorithm, which rounds differently
    weights = weight.expand(groups, *shape) if k == 1 else weight
    stride, padding, parts = layer.stride, layer.padding, groups * layer.groups

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
        z = F.conv2d(wide, kernels(), biases, stride, padding, 1, parts)
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
            stride,
            padding,
            [1, 1],
            False,
            [0, 0],
            parts,
            [wanted, True, bias.gradient_KO is not None],
        )
        d_weight.copy_(d_kernels.view(groups, *shape)[:k])
        if d_biases is not None:
            bias.write_gradient(d_biases.view(groups, outputs)[:k])
        return lane_by_lane(d_wide, channels) if wanted else None

    return Pass(forward, backward)


def _conv_by_shifts(context: LayerContext, layer: nn.Conv2d, *, last: bool = False) -> Pass:
    """`last`: the outputs have channels last in memory."""
    outputs, channels, kernel = layer.out_channels, layer.in_channels, layer.kernel_size[0]
    shape = (outputs, channels, kernel, kernel)
    weight = context.parameter("weight", shape)
    bias = Bias.of(context, outputs)
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
        if last:
            bias_K1O = None if bias.values_KO is None else bias.values_KO.unsqueeze(1)
            z = product(shifted.transpose(1, 2), kernels().transpose(1, 2), bias_K1O)
            return z.view(k, batch, height, width, outputs).permute(0, 1, 4, 2, 3), (shifted, x.shape)
        z = product(kernels(), shifted, None if bias.values_KO is None else bias.values_KO.unsqueeze(2))
        return z.view(k, outputs, batch, height, width).transpose(1, 2).contiguous(), (shifted, x.shape)

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_weight = context.gradient("weight", shape)

    def backward(kept: tuple[Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor | None:
        shifted, (_, batch, _, height, width) = kept
        if last:
            rows = g.permute(0, 1, 3, 4, 2).reshape(k, -1, outputs)
            d_kernels = product(shifted, rows).transpose(1, 2)
            g = rows.transpose(1, 2)
        else:
            g = g.transpose(1, 2).reshape(k, outputs, -1)
            d_kernels = product(g, shifted.transpose(1, 2))
        d_weight.copy_(d_kernels[:, :, :depth].reshape(k, outputs, kernel, kernel, channels).permute(0, 1, 4, 2, 3))
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
