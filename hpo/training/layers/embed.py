"""Vectors of codes and words for K lanes, each with tables of its own.

Dimensions: K lanes, B examples, V values, C coded columns, T tokens, N rows of a table, D numbers of a vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpo.models.layers.embed import Embed
from hpo.training.layers.dense import no_backward
from hpo.training.layers.frame import LayerContext, Pass, Rule

aten = torch.ops.aten


def embed(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, V + C + T] -> [K, B, V + C * D + E], see `hpo.models.layers.embed`. It is the first layer with parameters,
    so nothing asks for the gradient of its input."""
    assert isinstance(layer, Embed)
    coded = layer.values + len(layer.code_sizes)
    codes = Table(context, "codes", (sum(layer.code_sizes), layer.code_width)) if layer.code_sizes else None
    words = Table(context, "words", (layer.vocabulary, layer.word_width)) if layer.tokens else None
    device = next(iter(context.frame.parameters.values())).device
    begins = layer.begins.to(device)

    def forward(x: Tensor) -> tuple[Tensor, tuple[Tensor | None, Tensor | None, Tensor | None]]:
        parts, index, token, share = [x[..., : layer.values]], None, None, None
        if codes is not None:
            index = x[..., layer.values : coded].long() + begins
            parts.append(codes.vectors(index).flatten(2))
        if words is not None:
            token = x[..., coded : coded + layer.tokens].long()
            real = (token > 0).to(x.dtype)
            share = real / real.sum(2, keepdim=True).clamp(min=1)
            parts.append(_sums(words.vector_KND, token, share))
        return torch.cat(parts, dim=2), (index, token, share)

    if not context.frame.training:
        return Pass(forward, no_backward)

    def backward(kept: tuple[Tensor | None, Tensor | None, Tensor | None], g: Tensor, wanted: bool) -> None:
        index, token, share = kept
        end = layer.values + len(layer.code_sizes) * layer.code_width
        if codes is not None and index is not None:
            codes.write_gradient(index, g[..., layer.values : end].reshape(*index.shape, layer.code_width))
        if words is not None and token is not None and share is not None:
            assert words.gradient_KND is not None
            _write_gradient_of_sums(words.gradient_KND, token, share, g[..., end : end + layer.word_width].contiguous())

    return Pass(forward, backward)


class Table:
    """The vectors of K lanes for the same names."""

    def __init__(self, context: LayerContext, name: str, shape: tuple[int, int]) -> None:
        self.rows, self.width = shape
        self.vector_KND = context.parameter(name, shape)
        self.gradient_KND = context.gradient(name, shape) if context.frame.training else None

    def vectors(self, index: Tensor) -> Tensor:
        """[K, B, C] -> [K, B, C, D]."""
        flat = index.flatten(1).unsqueeze(2).expand(-1, -1, self.width)
        return self.vector_KND.gather(1, flat).view(*index.shape, self.width)

    def write_gradient(self, index: Tensor, g: Tensor) -> None:
        """Adds up the gradients [K, B, C, D] of each row's vectors, in the order of the examples."""
        assert self.gradient_KND is not None
        _write_gradient(self.gradient_KND, index, g)


def _in_all(index: Tensor, rows: int) -> Tensor:
    """[K * B * C] the rows of one table that holds those of all lanes, from the rows [K, B, C] of each lane's own."""
    own = torch.arange(len(index), device=index.device).view(-1, 1, 1) * rows
    return (index + own).flatten()


def _write_gradient(gradient_KND: Tensor, index: Tensor, g: Tensor) -> None:
    lanes, rows, width = gradient_KND.shape
    found = aten.embedding_dense_backward(g.flatten(0, 2), _in_all(index, rows), lanes * rows, -1, False)
    gradient_KND.copy_(found.view(lanes, rows, width))


@torch.library.custom_op("hpo::sums_of_vectors", mutates_args=())
def _sums(vector_KND: Tensor, index_KBT: Tensor, weight_KBT: Tensor) -> Tensor:
    """[K, B, D] weighted sums of the vectors at [K, B, T]; those vectors are never all in memory."""
    lanes, rows, width = vector_KND.shape
    count, tokens = index_KBT.shape[1:]
    begins = torch.arange(lanes * count, device=index_KBT.device) * tokens
    table, index = vector_KND.reshape(-1, width), _in_all(index_KBT, rows)
    weight = weight_KBT.flatten()
    found = nn.functional.embedding_bag(index, table, begins, mode="sum", per_sample_weights=weight)
    return found.view(lanes, count, width)


@_sums.register_fake
def _(vector_KND: Tensor, index_KBT: Tensor, weight_KBT: Tensor) -> Tensor:
    return vector_KND.new_empty(*index_KBT.shape[:2], vector_KND.shape[2])


@torch.library.custom_op("hpo::write_gradient_of_sums", mutates_args=("gradient_KND",))
def _write_gradient_of_sums(gradient_KND: Tensor, index_KBT: Tensor, weight_KBT: Tensor, g_KBD: Tensor) -> None:
    """The gradient of the vectors from that of their sums. Each row adds up in the order of the examples, lane by lane,
    so that a lane's rows stay in the processor's cache."""
    if gradient_KND.device.type != "cpu":  # where the order of index_add is left to chance
        _write_gradient(gradient_KND, index_KBT, g_KBD.unsqueeze(2) * weight_KBT.unsqueeze(3))
        return
    gradient_KND.zero_()
    for k in range(len(gradient_KND)):
        each = (g_KBD[k].unsqueeze(1) * weight_KBT[k].unsqueeze(2)).flatten(0, 1)
        gradient_KND[k].index_add_(0, index_KBT[k].flatten(), each)


EMBEDDINGS: dict[type[nn.Module], Rule] = {Embed: embed}
