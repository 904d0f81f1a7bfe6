"""Normalisation layers in stacked form. See `hpo.training.layers.dense` for what must hold.

Dimensions: K lanes, B examples, F features, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.conventions import LARGE_IMAGES_BY_LANE
from hpo.training.layers.channels import all_channels_last, is_channels_last
from hpo.training.layers.dense import aten, no_backward
from hpo.training.layers.frame import LayerContext, Pass, Rule


def batch_norm_1d(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, F]: statistics per lane and feature, of the batch in training, running averages at inference."""
    assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    shape, affine, eps = (layer.num_features,), layer.affine, layer.eps
    scale, shift = (context.parameter(which, shape).unsqueeze(1) if affine else None for which in ("weight", "bias"))
    if not context.frame.training:
        mean, variance = (context.average(f"running_{which}", shape).unsqueeze(1) for which in ("mean", "var"))
        inverse_root = (variance + eps).rsqrt()

        def infer(x: Tensor) -> tuple[Tensor, None]:
            xhat = (x - mean) * inverse_root
            return (xhat if scale is None or shift is None else torch.addcmul(shift, xhat, scale)), None

        return Pass(infer, no_backward)

    batch_mean, batch_variance = (
        context.batch_stat(f"running_{which}", shape).unsqueeze(1) for which in ("mean", "var")
    )
    d_scale, d_shift = (context.gradient(which, shape).unsqueeze(1) if affine else None for which in ("weight", "bias"))

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        count = x.shape[1]
        torch.mean(x, 1, keepdim=True, out=batch_mean)
        centred = x - batch_mean
        torch.sum(centred * centred, 1, keepdim=True, out=batch_variance)
        inverse_root = (batch_variance * (1.0 / count) + eps).rsqrt()
        batch_variance.mul_(1.0 / max(count - 1, 1))
        xhat = centred.mul_(inverse_root)
        return (xhat if scale is None or shift is None else torch.addcmul(shift, xhat, scale)), (xhat, inverse_root)

    def backward(kept: tuple[Tensor, Tensor], g: Tensor, wanted: bool) -> Tensor | None:
        xhat, inverse_root = kept
        share = 1.0 / g.shape[1]
        product = g * xhat
        sums, product_sums = (
            torch.sum(of, 1, keepdim=True) if into is None else torch.sum(of, 1, keepdim=True, out=into)
            for of, into in ((g, d_shift), (product, d_scale))
        )
        if not wanted:
            return None
        centred = torch.sub(g, sums, alpha=share).addcmul_(xhat, product_sums, value=-share)
        return centred.mul_(inverse_root if scale is None else inverse_root * scale)

    return Pass(forward, backward)


def batch_norm_2d(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, C, H, W]: statistics per lane and channel, of the batch in training, running averages at inference. With
    channels last in memory, pixels are examples as those of `batch_norm_1d`."""
    by_pixel, by_channel = batch_norm_1d(context, layer), _batch_norm_by_channel(context, layer)

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        if not is_channels_last(x):
            y, kept = by_channel.forward(x)
            return y, (kept, None)
        pixels = x.permute(0, 1, 3, 4, 2)
        y, kept = by_pixel.forward(pixels.flatten(1, 3))
        return y.view(pixels.shape).permute(0, 1, 4, 2, 3), (kept, pixels.shape)

    def backward(both: tuple[Any, torch.Size | None], g: Tensor, wanted: bool) -> Tensor | None:
        kept, shape = both
        if shape is None:
            return by_channel.backward(kept, g, wanted)
        back = by_pixel.backward(kept, g.permute(0, 1, 3, 4, 2).flatten(1, 3), wanted)
        return None if back is None else back.view(shape).permute(0, 1, 4, 2, 3)

    return Pass(forward, backward)


def _batch_norm_by_channel(context: LayerContext, layer: nn.Module) -> Pass:
    assert isinstance(layer, nn.BatchNorm2d)
    channels, affine, eps = layer.num_features, layer.affine, layer.eps
    shape = (channels,)
    scale = context.parameter("weight", shape) if affine else None
    shift = context.parameter("bias", shape) if affine else None

    k = context.lanes.stop - context.lanes.start
    single = k * channels == 1  # a single channel takes another algorithm, which rounds differently: make it two

    def flat(numbers_KC: Tensor | None) -> Tensor | None:
        if numbers_KC is None:
            return None
        return (numbers_KC.expand(2, -1) if single else numbers_KC).reshape(-1)

    # Rounding of one channel depends on whether it is a copy or a part of all lanes.
    copies = context.frame.conventions >= LARGE_IMAGES_BY_LANE

    def side_by_side(x: Tensor) -> Tensor:
        wide = x.expand(2, *x.shape[1:]) if single else x
        images = wide.transpose(0, 1).reshape(x.shape[1], -1, *x.shape[3:])
        return images.contiguous() if copies else images

    def lane_by_lane(z: Tensor, like: torch.Size) -> Tensor:
        return z.view(like[1], -1, *like[2:]).transpose(0, 1)[:k].contiguous()

    if not context.frame.training:
        mean, variance = context.average("running_mean", shape), context.average("running_var", shape)

        def infer(x: Tensor) -> tuple[Tensor, None]:
            wide = side_by_side(x)
            z = F.batch_norm(wide, flat(mean), flat(variance), flat(scale), flat(shift), False, 0.0, eps)
            return lane_by_lane(z, x.shape), None

        return Pass(infer, no_backward)

    batch_mean, batch_variance = context.batch_stat("running_mean", shape), context.batch_stat("running_var", shape)
    d_scale = context.gradient("weight", shape) if affine else None
    d_shift = context.gradient("bias", shape) if affine else None

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        wide = side_by_side(x)
        z, mean, inverse = torch.native_batch_norm(wide, flat(scale), flat(shift), None, None, True, 0.0, eps)
        count = x.shape[1] * x.shape[3] * x.shape[4]
        batch_mean.copy_(mean.view(-1, channels)[:k])
        batch_variance.copy_(((inverse.pow(-2) - eps) * (count / max(count - 1, 1))).view(-1, channels)[:k])
        return lane_by_lane(z, x.shape), (wide, mean, inverse, x.shape)

    def backward(kept: Any, g: Tensor, wanted: bool) -> Tensor:
        wide, mean, inverse, like = kept
        d_wide, d_scales, d_shifts = aten.native_batch_norm_backward(
            side_by_side(g), wide, flat(scale), None, None, mean, inverse, True, eps, [True, affine, affine]
        )
        if d_scale is not None and d_shift is not None:
            d_scale.copy_(d_scales.view(-1, channels)[:k])
            d_shift.copy_(d_shifts.view(-1, channels)[:k])
        return lane_by_lane(d_wide, like)

    return Pass(forward, backward)


def layer_norm(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, ...]: statistics per example over all that it has, features or channels, height and width."""
    assert isinstance(layer, nn.LayerNorm)
    shape, eps = list(layer.normalized_shape), layer.eps

    def standardise(x: Tensor) -> tuple[Tensor, Any]:
        z, mean, inverse = torch.native_layer_norm(x, shape, None, None, eps)
        return z, (x, mean, inverse)

    def undo(kept: Any, g: Tensor) -> Tensor:
        x, mean, inverse = kept
        found: Tensor = aten.native_layer_norm_backward(
            g.contiguous(), x, shape, mean, inverse, None, None, [True, False, False]
        )[0]
        return found

    one = _scaled(context, layer.elementwise_affine, tuple(shape), standardise, undo)
    return by_step(one) if len(shape) == 1 else _in_order(one)


def rms_norm(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, ...] divided by the root of the mean square of each example, over all that it has; no shift."""
    assert isinstance(layer, nn.RMSNorm)
    assert layer.eps is not None
    shape, eps, affine = tuple(layer.normalized_shape), layer.eps, layer.elementwise_affine
    dims = tuple(range(-len(shape), 0))
    scale = context.parameter("weight", shape) if affine else None
    d_scale = context.gradient("weight", shape) if affine and context.frame.training else None

    def spread(x: Tensor) -> Tensor:
        assert scale is not None
        return scale.view(-1, *[1] * (x.dim() - 1 - len(shape)), *shape)

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        inverse_root = (x.square().mean(dims, keepdim=True) + eps).rsqrt()
        z = x * inverse_root
        return (z if scale is None else z * spread(x)), (z, inverse_root)

    def backward(kept: tuple[Tensor, Tensor], g: Tensor, wanted: bool) -> Tensor | None:
        z, inverse_root = kept
        product = g * z
        if d_scale is not None:
            torch.sum(product, tuple(range(1, g.dim() - len(shape))), out=d_scale)
        if not wanted:
            return None
        if scale is not None:
            g, product = g * spread(g), product * spread(g)
        return torch.addcmul(g, z, product.mean(dims, keepdim=True), value=-1.0).mul_(inverse_root)

    return Pass(forward, backward if context.frame.training else no_backward)


def group_norm(context: LayerContext, layer: nn.Module) -> Pass:
    """Statistics per example over groups of channels."""
    assert isinstance(layer, nn.GroupNorm)
    groups, channels, eps = layer.num_groups, layer.num_channels, layer.eps

    def sizes(x: Tensor) -> tuple[int, int, int]:
        return x.shape[0] * x.shape[1], channels, x.shape[3:].numel()

    def standardise(x: Tensor) -> tuple[Tensor, Any]:
        z, mean, inverse = torch.native_group_norm(x.flatten(0, 1), None, None, *sizes(x), groups, eps)
        return z.view(x.shape), (x, mean, inverse)

    def undo(kept: Any, g: Tensor) -> Tensor:
        x, mean, inverse = kept
        found: Tensor = aten.native_group_norm_backward(
            g.flatten(0, 1).contiguous(), x.flatten(0, 1), mean, inverse, None, *sizes(x), groups, [True, False, False]
        )[0]
        return found.view(x.shape)

    return _in_order(_scaled(context, layer.affine, (channels,), standardise, undo))


def _in_order(one: Pass) -> Pass:
    """A layer that computes with channels in front of pixels, whatever the order in memory of its input. Its output has
    the same order as that, which must not depend on the other lanes."""

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        y, kept = one.forward(x.contiguous())
        last = is_channels_last(x)
        return (all_channels_last(y) if last else y), (kept, last)

    def backward(both: tuple[Any, bool], g: Tensor, wanted: bool) -> Tensor | None:
        kept, last = both
        back = one.backward(kept, g.contiguous(), wanted)
        return all_channels_last(back) if last and back is not None else back

    return Pass(forward, backward)


def by_step(one: Pass) -> Pass:
    """A layer of examples [K, B, F] that takes steps as well, [K, B, T, F] -> [K, B, T, F], as if each were an
    example."""

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        if x.dim() == 3:
            return one.forward(x)
        y, kept = one.forward(x.flatten(1, 2))
        return y.view(x.shape), kept

    def backward(kept: Any, g: Tensor, wanted: bool) -> Tensor | None:
        if g.dim() == 3:
            return one.backward(kept, g, wanted)
        back = one.backward(kept, g.flatten(1, 2), wanted)
        return None if back is None else back.view(g.shape)

    return Pass(forward, backward)


def _scaled(context: LayerContext, affine: bool, shape: tuple[int, ...], standardise: Any, undo: Any) -> Pass:
    """A standardisation followed by the lanes' own scale and shift over the first dimensions of an example."""
    if not affine:
        return Pass(standardise, lambda kept, g, wanted: undo(kept, g))
    scale, shift = context.parameter("weight", shape), context.parameter("bias", shape)

    def spread(numbers: Tensor, like: Tensor) -> Tensor:
        return numbers.view(-1, 1, *shape, *[1] * (like.dim() - 2 - len(shape)))

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        z, kept = standardise(x)
        return torch.addcmul(spread(shift, x), z, spread(scale, x)), (z, kept)

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_scale, d_shift = context.gradient("weight", shape), context.gradient("bias", shape)

    def backward(both: Any, g: Tensor, wanted: bool) -> Tensor:
        z, kept = both
        over = (1, *range(2 + len(shape), g.dim()))
        d_scale.copy_((g * z).sum(over))
        d_shift.copy_(g.sum(over))
        found: Tensor = undo(kept, g * spread(scale, g))
        return found

    return Pass(forward, backward)


NORMS: dict[type[nn.Module], Rule] = {
    nn.BatchNorm1d: batch_norm_1d,
    nn.BatchNorm2d: batch_norm_2d,
    nn.LayerNorm: layer_norm,
    nn.RMSNorm: rms_norm,
    nn.GroupNorm: group_norm,
}
"""Type of a plain layer -> how it is bound."""
