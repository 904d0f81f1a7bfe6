"""Dense and elementwise layers in stacked form: one operation for K lanes, each with its own weights.

A lane's numbers must be bit for bit the same whatever K and the other lanes are, so every layer computes each lane
separately: matrix products are batched over lanes, statistics are of one lane. Images and normalisation are in
`images` and `norms`; a new layer type is one function and one line in the table at the end of a module.

Dimensions: K lanes, B examples, F features, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.conventions import ACTIVATIONS_KEEP_ORDER
from hpo.training.layers.biases import Bias
from hpo.training.layers.channels import is_channels_last
from hpo.training.layers.frame import LayerContext, Pass
from hpo.training.layout import ALIGNMENT, VECTOR
from hpo.training.ragged.late import LateMask

aten = torch.ops.aten


def linear(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, F] -> [K, B, O]; the last layer's output has whole cache lines of units, those beyond O are 0.

    On CPU a product may be rounded differently for one matrix than for many where a size is no multiple of a cache
    line, so sizes are rounded up; rows of parameters have the room (`hpo.training.layout`).
    """
    assert isinstance(layer, nn.Linear)
    units, more = layer.out_features, -layer.out_features % ALIGNMENT
    shape = (units + more, layer.in_features)
    weight_KOF = context.parameter("weight", shape)
    weight_KFO = weight_KOF.transpose(1, 2)
    bias = Bias.of(context, shape[0])
    bias_K1O = None if bias.values_KO is None else bias.values_KO.unsqueeze(1)
    narrow = more > 0 and not context.last

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        z = product(x, weight_KFO, bias_K1O)
        return (z[..., :units].contiguous() if narrow else z), x

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_weight_KOF = context.gradient("weight", shape)

    def backward(x: Tensor, g: Tensor, wanted: bool) -> Tensor | None:
        if narrow:
            g = F.pad(g, (0, more))
        d_weight_KOF.copy_(product(g.transpose(1, 2), x))
        bias.write_gradient_sum(g)
        return product(g, weight_KOF) if wanted else None

    return Pass(forward, backward)


def product(a_KML: Tensor, b_KLN: Tensor, bias: Tensor | None = None) -> Tensor:
    """a @ b, plus a bias [K, 1, N] or [K, M, 1], for each lane.

    On CPU a product may be rounded differently for one matrix than for many where a size is no multiple of a cache
    line, so sizes are rounded up.
    """
    m, depth, n = *a_KML.shape[1:], b_KLN.shape[2]
    more_m, more_depth, more_n = (-size % ALIGNMENT for size in (m, depth, n))
    if not (more_m or more_depth or more_n):
        return torch.bmm(a_KML, b_KLN) if bias is None else torch.baddbmm(bias, a_KML, b_KLN)
    a = F.pad(a_KML.contiguous(), (0, more_depth, 0, more_m)) if more_depth or more_m else a_KML.contiguous()
    b = F.pad(b_KLN.contiguous(), (0, more_n, 0, more_depth)) if more_n or more_depth else b_KLN.contiguous()
    if bias is None:
        wide = torch.bmm(a, b)
    else:
        wide = torch.baddbmm(F.pad(bias, (0, more_n) if bias.shape[1] == 1 else (0, 0, 0, more_m)), a, b)
    return wide[:, :m, :n].contiguous()


def dropout(context: LayerContext, layer: nn.Module) -> Pass:
    """Zeroes features (or, for Dropout2d, whole channels) and scales the rest by 1/(1-p)."""
    name = mask_name(context.name, layer)
    late = LateMask.of(context, name)

    def forward(x: Tensor) -> tuple[Tensor, Tensor | None]:
        mask = context.mask(name) if late is None else late.of_rows(x)
        return (x if mask is None else x * mask), mask

    def backward(mask: Tensor | None, g: Tensor, wanted: bool) -> Tensor:
        return g if mask is None else g * mask

    return Pass(forward, backward) if context.frame.training else IDENTITY


def mask_name(name: str, layer: nn.Module) -> str:
    """Key of a dropout layer's mask: lanes that drop pixels and lanes that drop channels need masks of their own."""
    return f"{name}.{type(layer).__name__}"


def flatten(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, ...] -> [K, B, F]."""
    return Pass(lambda x: (x.flatten(2), x.shape), lambda shape, g, wanted: g.view(shape))


def identity(context: LayerContext, layer: nn.Module) -> Pass:
    return IDENTITY


def no_backward(kept: Any, g: Tensor, wanted: bool) -> Tensor:
    """The backward pass of a layer that was bound for inference."""
    raise AssertionError("a layer bound for inference has no gradient")


IDENTITY = Pass(lambda x: (x, None), lambda _, g, wanted: g)


Derivative = Callable[[Any, Tensor, Tensor, Tensor], Tensor]
"""From the layer, the gradient of the output, the input and the output to the gradient of the input."""


def _elementwise(derivative: Derivative, *, exact: bool) -> Callable[[LayerContext, nn.Module], Pass]:
    """A layer without parameters that computes each number separately.

    `exact`: vector and scalar code give the same result. For other functions, such as tanh, they round differently, and
    the CPU uses scalar code for the last numbers of a tensor unless they fill a vector. So each lane is padded to whole
    vectors; otherwise the results of the last lane would differ.
    """

    def bind(context: LayerContext, layer: nn.Module) -> Pass:
        def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, torch.Size]]:
            shape = x.shape
            if not exact and shape[1:].numel() % VECTOR:
                x = padded(x)
            y = cast(Tensor, layer(x))
            return unpadded(y, shape), (x, y, shape)

        def backward(kept: tuple[Tensor, Tensor, torch.Size], g: Tensor, wanted: bool) -> Tensor:
            x, y, shape = kept
            if x.shape != shape:
                g = padded(g)
            return unpadded(derivative(layer, like(g, x), x, y), shape)

        keeps = context.frame.conventions >= ACTIVATIONS_KEEP_ORDER
        return in_either_order(Pass(forward, backward)) if keeps else Pass(forward, backward)

    return bind


def like(g: Tensor, x: Tensor) -> Tensor:
    """The same numbers, in the order in memory of a dense tensor of the same shape."""
    return g if g.stride() == x.stride() else torch.empty_like(x, dtype=g.dtype).copy_(g)


def in_either_order(one: Pass) -> Pass:
    """A layer that computes each number separately, in the order in memory of its input."""

    def forward(x: Tensor) -> tuple[Tensor, tuple[Any, bool]]:
        last = is_channels_last(x)
        y, kept = one.forward(x.permute(0, 1, 3, 4, 2) if last else x)
        return (y.permute(0, 1, 4, 2, 3) if last else y), (kept, last)

    def backward(both: tuple[Any, bool], g: Tensor, wanted: bool) -> Tensor | None:
        kept, last = both
        back = one.backward(kept, g.permute(0, 1, 3, 4, 2) if last else g, wanted)
        return back.permute(0, 1, 4, 2, 3) if last and back is not None else back

    return Pass(forward, backward)


def padded(x: Tensor) -> Tensor:
    """Each lane's numbers in a row, filled up to whole vectors."""
    return F.pad(x.flatten(1), (0, -x.shape[1:].numel() % VECTOR))


def unpadded(y: Tensor, shape: torch.Size) -> Tensor:
    """What `padded` had been before."""
    return y if y.shape == shape else y[:, : shape[1:].numel()].reshape(shape)


DENSE: dict[type[nn.Module], Callable[[LayerContext, nn.Module], Pass]] = {
    nn.Linear: linear,
    nn.Dropout: dropout,
    nn.Flatten: flatten,
    nn.Identity: identity,
    nn.ReLU: _elementwise(lambda _, g, x, y: aten.threshold_backward(g, y, 0), exact=True),
    nn.LeakyReLU: _elementwise(
        lambda layer, g, x, y: aten.leaky_relu_backward(g, x, layer.negative_slope, False), exact=True
    ),
    nn.ELU: _elementwise(lambda layer, g, x, y: aten.elu_backward(g, layer.alpha, 1, 1, False, x), exact=False),
    nn.GELU: _elementwise(lambda layer, g, x, y: aten.gelu_backward(g, x, approximate=layer.approximate), exact=False),
    nn.SiLU: _elementwise(lambda _, g, x, y: aten.silu_backward(g, x), exact=False),
    nn.Tanh: _elementwise(lambda _, g, x, y: aten.tanh_backward(g, y), exact=False),
    nn.Sigmoid: _elementwise(lambda _, g, x, y: aten.sigmoid_backward(g, y), exact=False),
}
"""Type of a plain layer -> how it is bound."""
