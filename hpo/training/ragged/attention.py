"""The layers of a transformer encoder for K lanes, on the rows of real steps. The plain layers are in
`hpo.models.layers.attention`.

Dimensions: K lanes, B examples, N rows, G examples of a group, H heads, L steps, D features of a head, F features.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hpo.models.layers.attention import Attention, ClassToken, Positions
from hpo.training.layers.dense import aten, mask_name, no_backward, product
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.ragged.late import LateMask
from hpo.training.ragged.rows import Group


def positions(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, N, F] -> [K, N, F]."""
    assert isinstance(layer, Positions)
    frame, shape = context.frame, (layer.length, layer.width)
    learned = layer.kind == "learned"
    if learned:
        table = context.parameter("table", shape)
    else:
        like = next(iter(frame.parameters.values()))
        table = layer.table.to(like.device, like.dtype).unsqueeze(0)

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        index = frame.rows.step_KN
        if learned and len(index) > 1:
            index = index + torch.arange(len(index), device=index.device).unsqueeze(1) * layer.length
        added = table.reshape(-1, layer.width).index_select(0, index.flatten())
        return x + added.view(x.shape), index

    if not frame.training or not learned:
        return Pass(forward, lambda _, g, wanted: g)
    gradient = context.gradient("table", shape)

    def backward(index: Tensor, g: Tensor, wanted: bool) -> Tensor:
        found = aten.embedding_dense_backward(g.flatten(0, 1), index.flatten(), len(g) * layer.length, -1, False)
        gradient.copy_(found.view(gradient.shape))
        return g

    return Pass(forward, backward)


def class_token(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, N, F] -> [K, N, F]: the first layer has left a row for the token before each example's steps."""
    assert isinstance(layer, ClassToken)
    frame, token_KF = context.frame, context.parameter("token", (layer.width,))
    frame.class_token = True

    def first_of(x: Tensor) -> Tensor:
        return frame.rows.first_KB.unsqueeze(2).expand(-1, -1, x.shape[2])

    def forward(x: Tensor) -> tuple[Tensor, None]:
        first = first_of(x)
        return x.scatter(1, first, token_KF.unsqueeze(1).expand(first.shape)), None

    if not frame.training:
        return Pass(forward, no_backward)
    gradient_KF = context.gradient("token", (layer.width,))

    def backward(_: None, g: Tensor, wanted: bool) -> Tensor:
        first = first_of(g)
        torch.sum(g.gather(1, first), 1, out=gradient_KF)
        return g.scatter(1, first, 0.0)

    return Pass(forward, backward)


class _Seen(NamedTuple):
    """What the pass back needs of a group, [G * H, L, D] or [G * H, L, L]."""

    query: Tensor
    key: Tensor
    value: Tensor
    weight: Tensor
    mask: Tensor | None
    """By which dropout multiplied the weights."""


def attention(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, N, 3 * F] -> [K, N, F]."""
    assert isinstance(layer, Attention)
    frame, heads = context.frame, layer.heads
    frame.ragged = True
    late = LateMask.of(context, mask_name(context.name, layer))

    def split(rows: Tensor, parts: int) -> Tensor:
        """[G, L, P * H * D] -> [P, G * H, L, D]."""
        examples, steps, _ = rows.shape
        shape = examples, steps, parts, heads, -1
        return rows.view(shape).permute(2, 0, 3, 1, 4).reshape(parts, examples * heads, steps, -1)

    def joined(numbers: Tensor, parts: int) -> Tensor:
        """The reverse."""
        _, _, steps, width = numbers.shape
        back = numbers.view(parts, -1, heads, steps, width).permute(1, 3, 0, 2, 4)
        return back.reshape(-1, steps, parts * heads * width)

    def attend(x: Tensor, group: Group) -> tuple[Tensor, _Seen]:
        query, key, value = split(group.gather(x), 3)
        query = query * (1.0 / sqrt(query.shape[2]))
        scores = torch.bmm(query, key.transpose(1, 2))
        if group.behind_G11L is not None:
            scores.unflatten(0, (-1, heads)).masked_fill_(group.behind_G11L, -torch.inf)
        weight = scores.softmax(2)
        mask = None if late is None else late.of_pairs(frame.rows, group, heads)
        dropped = weight if mask is None else weight * mask
        y = torch.bmm(dropped, value)
        return joined(y.unsqueeze(0), 1), _Seen(query, key, value, weight, mask)

    def forward(x: Tensor) -> tuple[Tensor, list[_Seen]]:
        done = [attend(x, group) for group in frame.rows.groups]
        return frame.rows.scatter([y for y, _ in done]), [seen for _, seen in done]

    if not frame.training:
        return Pass(forward, no_backward)

    def back(g: Tensor, group: Group, seen: _Seen) -> Tensor:
        rows = group.gather(g)
        if group.real_GL is not None:
            rows.masked_fill_(~group.real_GL.unsqueeze(2), 0.0)
        g_y = split(rows, 1)[0]
        dropped = seen.weight if seen.mask is None else seen.weight * seen.mask
        d_value = torch.bmm(dropped.transpose(1, 2), g_y)
        d_weight = torch.bmm(g_y, seen.value.transpose(1, 2))
        if seen.mask is not None:
            d_weight *= seen.mask
        d_scores = aten._softmax_backward_data(d_weight, seen.weight, 2, d_weight.dtype)
        d_query = torch.bmm(d_scores, seen.key).mul_(1.0 / sqrt(seen.key.shape[2]))
        d_key = torch.bmm(d_scores.transpose(1, 2), seen.query)
        return joined(torch.stack([d_query, d_key, d_value]), 3)

    def backward(kept: list[_Seen], g: Tensor, wanted: bool) -> Tensor:
        groups = frame.rows.groups
        return frame.rows.scatter([back(g, group, seen) for group, seen in zip(groups, kept, strict=True)])

    return Pass(forward, backward)


def mean_of_rows(context: LayerContext) -> Pass:
    """[K, N, F] -> [K, B, F]: the mean of each example's steps."""
    frame = context.frame

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        share = frame.rows.share_KBN(x.dtype)
        return product(share, x), share

    def backward(share: Tensor, g: Tensor, wanted: bool) -> Tensor | None:
        return product(share.transpose(1, 2), g) if wanted else None

    return Pass(forward, backward)


def greatest_of_rows(context: LayerContext) -> Pass:
    """[K, N, F] -> [K, B, F]: the greatest number of each feature among an example's steps."""
    frame = context.frame

    def forward(x: Tensor) -> tuple[Tensor, list[Tensor]]:
        rows = frame.rows
        y, places = x.new_empty(rows.lanes * rows.examples, x.shape[2]), []
        for group in rows.groups:
            part = group.gather(x)
            if group.real_GL is not None:
                part.masked_fill_(~group.real_GL.unsqueeze(2), -torch.inf)
            value, place = part.max(1)
            y.index_copy_(0, group.example_G, value)
            places.append(place)
        return y.view(rows.lanes, rows.examples, -1), places

    def backward(places: list[Tensor], g: Tensor, wanted: bool) -> Tensor | None:
        if not wanted:
            return None
        parts = []
        for group, place in zip(frame.rows.groups, places, strict=True):
            part = g.new_zeros(*group.row_GL.shape, g.shape[2])
            mine = g.flatten(0, 1).index_select(0, group.example_G)
            parts.append(part.scatter_(1, place.unsqueeze(1), mine.unsqueeze(1)))
        return frame.rows.scatter(parts)

    return Pass(forward, backward)


def first_of_rows(context: LayerContext) -> Pass:
    """[K, N, F] -> [K, B, F]: the first step of each example."""
    frame = context.frame

    def forward(x: Tensor) -> tuple[Tensor, Tensor]:
        first = frame.rows.first_KB.unsqueeze(2).expand(-1, -1, x.shape[2])
        return x.gather(1, first), first

    def backward(first: Tensor, g: Tensor, wanted: bool) -> Tensor | None:
        return g.new_zeros(len(g), frame.rows.count, g.shape[2]).scatter_(1, first, g) if wanted else None

    return Pass(forward, backward)


POOLS = {"mean": mean_of_rows, "max": greatest_of_rows, "first": first_of_rows}
"""How rows become one vector of an example."""
ATTENTION: dict[type[nn.Module], Rule] = {Attention: attention, ClassToken: class_token, Positions: positions}
"""Type of a plain layer -> how it is bound."""
