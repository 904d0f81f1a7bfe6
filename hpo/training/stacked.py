"""Leaf layers in stacked form: one operation for K lanes, each with its own weights.

A rule takes the plain layer for its geometry and reads the K lanes' parameters from the frame; activations have shape
[K, B, ...]. A lane's numbers must come out bit for bit the same whatever K is and whoever the neighbours are, so every
rule works lane by lane inside: matrix products are batched over lanes, statistics stay within one lane. A new layer
type is one function and one line in `RULES`.

Dimensions: K lanes, B examples, F features, C channels, H height, W width, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.training.layout import ALIGNMENT, VECTOR


@dataclass(kw_only=True, slots=True)
class Frame:
    """What the rules of one forward pass read and leave behind."""

    parameters: dict[tuple[str, tuple[int, ...]], Tensor]
    """Views [K, *shape] of theta."""
    stats: dict[tuple[str, tuple[int, ...]], Tensor]
    """Views [K, *shape] of the running averages."""
    masks: Mapping[str, Tensor] | None
    """What each dropout layer multiplies its input by, see `hpo.training.masks`; None at inference."""
    batch_stats: list[tuple[Tensor, Tensor]] = field(default_factory=list)
    """Mean [K, F] and unbiased variance [K, F] that each batch normalisation saw in training, in order."""

    def parameter(self, name: str, like: Tensor | None, lanes: slice) -> Tensor:
        assert like is not None
        return rows_of(self.parameters[name, tuple(like.shape)], lanes)

    def average(self, name: str, like: Tensor | None, lanes: slice) -> Tensor:
        assert like is not None
        return rows_of(self.stats[name, tuple(like.shape)], lanes)


def rows_of(value: Tensor, lanes: slice) -> Tensor:
    """The lanes' rows; a slice of everything would cost a copy in the gradient."""
    return value if lanes == slice(0, len(value)) else value[lanes]


Rule = Callable[[str, nn.Module, Frame, slice, Tensor], Tensor]


def linear(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """[K, B, F] -> [K, B, O]."""
    assert isinstance(layer, nn.Linear)
    weight_KOF = frame.parameter(f"{name}.weight", layer.weight, lanes)
    bias_KO = frame.parameter(f"{name}.bias", layer.bias, lanes)
    return product(x, weight_KOF.transpose(1, 2), bias_KO.unsqueeze(1))


def product(a_KML: Tensor, b_KLN: Tensor, bias: Tensor) -> Tensor:
    """a @ b + bias for each lane; the bias is [K, 1, N] or [K, M, 1].

    On CPU a product may be rounded differently for one matrix than for many where a size is no multiple of a cache
    line, so sizes are rounded up.
    """
    m, depth, n = *a_KML.shape[1:], b_KLN.shape[2]
    more_m, more_depth, more_n = (-size % ALIGNMENT for size in (m, depth, n))
    if torch.compiler.is_compiling() or not (more_m or more_depth or more_n):
        return torch.baddbmm(bias, a_KML, b_KLN)
    a = F.pad(in_order(a_KML), (0, more_depth, 0, more_m))
    b = F.pad(in_order(b_KLN), (0, more_n, 0, more_depth))
    wide = F.pad(in_order(bias), (0, more_n) if bias.shape[1] == 1 else (0, 0, 0, more_m))
    return in_order(torch.baddbmm(wide, a, b)[:, :m, :n])


def conv2d(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """[K, B, C, H, W] -> [K, B, O, H, W], with padding that keeps the size.

    A grouped convolution is faster, a batched product over shifted images the only one of the two whose result does
    not depend on K where a lane has few channels or an odd number of them (measured on CPU).
    """
    assert isinstance(layer, nn.Conv2d)
    weight = frame.parameter(f"{name}.weight", layer.weight, lanes)
    bias = frame.parameter(f"{name}.bias", layer.bias, lanes)
    grouped = layer.in_channels % 8 == 0 and layer.out_channels % 8 == 0
    return in_order((_conv_by_groups if grouped else _conv_by_shifts)(in_order(x), weight, bias))


def _conv_by_groups(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    k, batch, channels, height, width = x.shape
    outputs, kernel = weight.shape[1], weight.shape[3]
    if k == 1:  # one group takes another algorithm, which rounds differently
        return _conv_by_groups(x.expand(2, -1, -1, -1, -1), weight.expand(2, -1, -1, -1, -1), bias.expand(2, -1))[:1]
    z = F.conv2d(
        x.transpose(0, 1).reshape(batch, k * channels, height, width),
        weight.reshape(k * outputs, channels, kernel, kernel),
        bias.reshape(-1),
        padding=kernel // 2,
        groups=k,
    )
    return z.view(batch, k, outputs, height, width).transpose(0, 1)


def _conv_by_shifts(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    k, batch, channels, height, width = x.shape
    outputs, kernel = weight.shape[1], weight.shape[3]
    padded = F.pad(x.transpose(1, 2), [kernel // 2] * 4)
    shifted = torch.stack([padded[..., i : i + height, j : j + width] for i in range(kernel) for j in range(kernel)], 2)
    z = product(
        weight.reshape(k, outputs, channels * kernel * kernel),
        shifted.reshape(k, channels * kernel * kernel, batch * height * width),
        bias.unsqueeze(2),
    )
    return z.view(k, outputs, batch, height, width).transpose(1, 2)


def batch_norm(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """[K, B, C, H, W]: statistics per lane and channel, of the batch in training, running averages at inference."""
    assert isinstance(layer, nn.BatchNorm2d)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    k, batch, channels, height, width = x.shape
    scale = shift = None
    if layer.affine:
        scale = frame.parameter(f"{name}.weight", layer.weight, lanes).reshape(-1)
        shift = frame.parameter(f"{name}.bias", layer.bias, lanes).reshape(-1)
    z = in_order(x).transpose(0, 1).reshape(batch, k * channels, height, width)
    if frame.masks is None:
        mean = frame.average(f"{name}.running_mean", layer.running_mean, lanes).reshape(-1)
        variance = frame.average(f"{name}.running_var", layer.running_var, lanes).reshape(-1)
        z = F.batch_norm(z, mean, variance, scale, shift, False, 0.0, layer.eps)
    else:
        z, mean, inverse = torch.native_batch_norm(z, scale, shift, None, None, True, 0.0, layer.eps)
        count = batch * height * width
        with torch.no_grad():
            variance = (inverse.pow(-2) - layer.eps) * (count / max(count - 1, 1))
            frame.batch_stats.append((mean.view(k, channels), variance.view(k, channels)))
    return in_order(z.view(batch, k, channels, height, width).transpose(0, 1))


def layer_norm(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """Images: statistics per example over channels, height and width. Dense features are `mixed_norm`'s."""
    assert isinstance(layer, nn.LayerNorm)
    z = F.layer_norm(x, layer.normalized_shape, None, None, layer.eps)
    if not layer.elementwise_affine:
        return z
    scale = frame.parameter(f"{name}.weight", layer.weight, lanes).unsqueeze(1)
    shift = frame.parameter(f"{name}.bias", layer.bias, lanes).unsqueeze(1)
    return torch.addcmul(shift, z, scale)


def group_norm(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """Statistics per example over groups of channels."""
    assert isinstance(layer, nn.GroupNorm)
    z = F.group_norm(x.flatten(0, 1), layer.num_groups, None, None, layer.eps).view(x.shape)
    if not layer.affine:
        return z
    broadcast = (-1, 1, layer.num_channels, *([1] * (x.dim() - 3)))
    scale = frame.parameter(f"{name}.weight", layer.weight, lanes).view(broadcast)
    shift = frame.parameter(f"{name}.bias", layer.bias, lanes).view(broadcast)
    return torch.addcmul(shift, z, scale)


def dropout(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """Zeroes features (or, for Dropout2d, whole channels) and scales the rest by 1/(1-p)."""
    mask = frame.masks.get(mask_name(name, layer)) if frame.masks else None
    return x if mask is None else x * rows_of(mask, lanes)


def mask_name(name: str, layer: nn.Module) -> str:
    """Key of a dropout layer's mask: lanes that drop pixels and lanes that drop channels need masks of their own."""
    return f"{name}.{type(layer).__name__}"


def per_example(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """A layer without parameters that treats each example alone: lanes and examples are one batch to it."""
    y = cast(Tensor, layer(x.flatten(0, 1)))
    return y.view(*x.shape[:2], *y.shape[1:])


def elementwise(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """A layer without parameters that treats each number alone, by exact arithmetic."""
    return cast(Tensor, layer(x))


def transcendental(name: str, layer: nn.Module, frame: Frame, lanes: slice, x: Tensor) -> Tensor:
    """Like `elementwise`, for functions such as tanh that vector and scalar code round differently.

    The CPU takes scalar code for the last numbers of a tensor unless they fill a vector, and for tensors that are not
    contiguous; so each lane is padded to whole vectors, or which lane comes last would show.
    """
    count = x.shape[1:].numel()
    if count % VECTOR == 0:
        return cast(Tensor, layer(x))
    padded = F.pad(x.flatten(1), (0, -count % VECTOR))
    return cast(Tensor, layer(padded))[:, :count].view(x.shape)


class _InOrder(torch.autograd.Function):
    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.contiguous()

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient.contiguous()


def in_order(x: Tensor) -> Tensor:
    """The tensor, and its gradient, row by row in memory: layout decides which code computes the next layer, and
    whether it changes at all could depend on K."""
    if torch.compiler.is_compiling():  # the compiler chooses layouts itself
        return x
    return cast(Tensor, _InOrder.apply(x))  # type: ignore[no-untyped-call]  # torch leaves `apply` untyped


RULES: dict[type[nn.Module], Rule] = {
    nn.Linear: linear,
    nn.Conv2d: conv2d,
    nn.BatchNorm2d: batch_norm,
    nn.LayerNorm: layer_norm,
    nn.GroupNorm: group_norm,
    nn.Dropout: dropout,
    nn.Dropout2d: dropout,
    nn.Flatten: per_example,
    nn.MaxPool2d: per_example,
    nn.Identity: elementwise,
    nn.ReLU: elementwise,
    nn.LeakyReLU: elementwise,
    nn.ELU: transcendental,
    nn.GELU: transcendental,
    nn.SiLU: transcendental,
    nn.Tanh: transcendental,
    nn.Sigmoid: transcendental,
}
