"""Vectors of the numbers of tables, from their places between quantiles, for K lanes, and these quantiles. The plain
layer is in `hpo.models.layers.piecewise`.

Dimensions: K lanes, B examples, F features, N columns of numbers, Q bins, D numbers of a vector.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hpo.models.layers.piecewise import PiecewiseLinear, bounds
from hpo.training.batches import Examples
from hpo.training.feed.drawn import DrawnRows
from hpo.training.feed.streamed import StreamedRows
from hpo.training.layers.dense import no_backward
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.layers.periodic import by_column, products

EDGES = "edges"
MOST = 100_000
"""Rows of streamed data, which are shuffled, that quantiles are found from."""


def fit(module: nn.Module, examples: Examples, part: int) -> None:
    """Sets what a model's layers take from the training examples of a part: the edges of bins."""
    for layer in module.children():
        if isinstance(layer, PiecewiseLinear):
            layer.fit(_rows(examples, part).cpu())


def _rows(examples: Examples, part: int) -> Tensor:
    x_train = examples.x_train
    rows = slice(examples.start[part], examples.start[part] + examples.size[part])
    match x_train:
        case StreamedRows():
            file = x_train.files[part]
            return torch.from_numpy(file.read(0, min(MOST, file.shape[0])))
        case DrawnRows():
            return x_train.shared.inputs(x_train.rows[rows].view(1, 1, -1), x_train.forms[part])[0, 0]
    return x_train[rows]


def edge_columns(layers: Sequence[nn.Module], dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    """The lanes' edges [K, N, Q + 1], if the layers have any; else no columns."""
    edges = [layer.edges for layer in layers if isinstance(layer, PiecewiseLinear)]
    return {EDGES: torch.stack(edges).to(device, dtype)} if edges else {}


def piecewise_linear(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, F] -> [K, B, N * D + F - N]. Nothing asks for the gradient of the numbers."""
    assert isinstance(layer, PiecewiseLinear)
    columns, bins, width = layer.columns, layer.bins, layer.width
    shapes = {"weight": (columns * width, bins), "bias": (columns * width,)}
    weight = context.parameter("weight", shapes["weight"]).unflatten(1, (columns, width))
    bias_K1ND = context.parameter("bias", shapes["bias"]).unflatten(1, (1, columns, width))
    begin, rate, low, high = (one.unsqueeze(1) for one in bounds(context.column(EDGES)))

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        code = (x[..., :columns].unsqueeze(3) - begin).mul_(rate)
        code = torch.minimum(torch.maximum(code, low), high)
        vectors = by_column(code, weight.transpose(2, 3)).add_(bias_K1ND).relu_()
        return torch.cat([vectors.flatten(2), x[..., columns:]], dim=2), (code, vectors)

    if not context.frame.training:
        return Pass(forward, no_backward)
    d_weight, d_bias = (context.gradient(which, shape) for which, shape in shapes.items())

    def backward(kept: tuple[Tensor, Tensor], g: Tensor, wanted: bool) -> Tensor | None:
        code, vectors = kept
        of_vectors, of_others = g.split([columns * width, g.shape[2] - columns * width], dim=2)
        d = of_vectors.unflatten(2, (columns, width)) * (vectors > 0).to(g.dtype)
        torch.sum(d.flatten(2), 1, out=d_bias)
        d_weight.copy_(products(d.permute(0, 2, 3, 1), code.transpose(1, 2)).flatten(1, 2).view_as(d_weight))
        numbers = g.new_zeros(*g.shape[:2], columns)
        return torch.cat([numbers, of_others], dim=2) if wanted else None

    return Pass(forward, backward)


PIECEWISE: dict[type[nn.Module], Rule] = {PiecewiseLinear: piecewise_linear}
"""Type of a plain layer -> how it is bound."""
