"""Vectors of the numbers of tables for K lanes. The plain layer is in `hpo.models.layers.periodic`.

Dimensions: K lanes, B examples, F features, N columns of numbers, W waves, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from hpo.models.layers.periodic import Periodic
from hpo.training.layers.dense import no_backward, padded, product, unpadded
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.layout import VECTOR


def periodic(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, F] -> [K, B, N * D + F - N]. Nothing asks for the gradient of the numbers."""
    assert isinstance(layer, Periodic)
    columns, waves, width = layer.columns, layer.waves, layer.width
    shapes = {"frequency": (columns * waves,), "weight": (columns * width, 2 * waves), "bias": (columns * width,)}
    frequency_K1NW = context.parameter("frequency", shapes["frequency"]).unflatten(1, (1, columns, waves))
    weight = context.parameter("weight", shapes["weight"]).unflatten(1, (columns, width))
    bias_K1ND = context.parameter("bias", shapes["bias"]).unflatten(1, (1, columns, width))

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        numbers = x[..., :columns]
        angle = 2 * torch.pi * numbers.unsqueeze(3) * frequency_K1NW
        wave = torch.cat([_exact(torch.sin, angle), _exact(torch.cos, angle)], dim=3)
        vectors = by_column(wave, weight.transpose(2, 3)).add_(bias_K1ND).relu_()
        return torch.cat([vectors.flatten(2), x[..., columns:]], dim=2), (numbers, wave, vectors)

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_frequency, d_weight, d_bias = (context.gradient(which, shape) for which, shape in shapes.items())

    def backward(kept: tuple[Tensor, Tensor, Tensor], g: Tensor, wanted: bool) -> Tensor | None:
        numbers, wave, vectors = kept
        of_vectors, of_others = g.split([columns * width, g.shape[2] - columns * width], dim=2)
        d = of_vectors.unflatten(2, (columns, width)) * (vectors > 0).to(g.dtype)
        torch.sum(d.flatten(2), 1, out=d_bias)
        d_weight.copy_(products(d.permute(0, 2, 3, 1), wave.transpose(1, 2)).flatten(1, 2).view_as(d_weight))
        d_sin, d_cos = by_column(d, weight).split(waves, dim=3)
        sin, cos = wave.split(waves, dim=3)
        d_angle = d_sin * cos - d_cos * sin
        d_frequency.copy_((d_angle * (2 * torch.pi * numbers.unsqueeze(3))).flatten(2).sum(1))
        return torch.cat([torch.zeros_like(numbers), of_others], dim=2) if wanted else None

    return Pass(forward, backward)


def by_column(a_KBNL: Tensor, b_KNLM: Tensor) -> Tensor:
    """[K, B, N, M] products of each column."""
    return products(a_KBNL.transpose(1, 2), b_KNLM).transpose(1, 2).contiguous()


def products(a_KNBL: Tensor, b_KNLM: Tensor) -> Tensor:
    found: Tensor = product(a_KNBL.flatten(0, 1), b_KNLM.flatten(0, 1)).unflatten(0, a_KNBL.shape[:2])
    return found


def _exact(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """A function of each number, as vector code computes it wherever a number stands."""
    shape = x.shape
    return unpadded(function(padded(x) if shape[1:].numel() % VECTOR else x), shape)


PERIODIC: dict[type[nn.Module], Rule] = {Periodic: periodic}
