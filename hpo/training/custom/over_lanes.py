"""Functions on the tensors of all lanes at once, called from within `torch.func.vmap`, and the masks that lanes draw.

Dimensions: K lanes, N numbers of a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from hpo.training import randomness
from hpo.training.layers.masks import Drop


class _OverLanes(torch.autograd.Function):
    """What vmap calls with the lanes' tensors. The function's own operations are recorded for the backward pass."""

    @staticmethod
    def forward(function: Callable[..., Any], *values: Any) -> Any:
        raise AssertionError("only vmap calls it")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass

    @staticmethod
    def vmap(info: Any, in_dims: Any, function: Callable[..., Any], *values: Any) -> Any:
        lanes = info.batch_size
        given = [
            value
            if not isinstance(value, Tensor)
            else value.expand(lanes, *value.shape)
            if place is None
            else value.movedim(place, 0)
            for value, place in zip(values, in_dims[1:], strict=True)
        ]
        found = function(*given)
        return found, 0 if isinstance(found, Tensor) else (0,) * len(found)


def over_lanes(function: Callable[..., Any], *values: Any) -> Any:
    """What the function, which takes and gives tensors [K, ...], gives for tensors of one lane. Within vmap it is
    called once for all lanes."""
    if batched(*values):
        return _OverLanes.apply(function, *values)  # type: ignore[no-untyped-call]  # torch gives it no types
    found = function(*(value.unsqueeze(0) if isinstance(value, Tensor) else value for value in values))
    return found.squeeze(0) if isinstance(found, Tensor) else tuple(one.squeeze(0) for one in found)


def batched(*values: Any) -> bool:
    """Whether any of these is a tensor of all lanes, within vmap."""
    return any(isinstance(value, Tensor) and torch._C._functorch.is_batchedtensor(value) for value in values)


class LaneP(float):
    """The largest of the lanes' dropout probabilities, which carries all."""

    lanes: tuple[float, ...]

    def __new__(cls, lanes: tuple[float, ...]) -> LaneP:
        made = super().__new__(cls, max(lanes))
        made.lanes = lanes
        return made


def mask_of(key_K: Tensor, count: int, p: float, call: int, dtype: torch.dtype) -> Tensor:
    """[K, N] 0 with probability p, else 1/(1-p): the mask of a lane's step, by its key and the number of the call."""
    each = p.lanes if isinstance(p, LaneP) else (p,) * len(key_K)
    drop = Drop.of(each, (count,), 0, dtype, key_K.device)
    mixed = randomness.uniform_24(randomness.number(call, key_K.device).view(1), key_K) ^ key_K.unsqueeze(1)
    return drop.masks(mixed.view(1, -1), 1).view(-1, count)


FREE = 2**30
"""Bytes of memory that are kept for use again, at most."""

_free: list[Tensor] = []


def take(like: Tensor, *shape: int) -> Tensor:
    """Memory of this shape, with anything in it."""
    for index, piece in enumerate(_free):
        if piece.shape == shape and piece.dtype == like.dtype and piece.device == like.device:
            return _free.pop(index)
    with torch.inference_mode(False):
        return torch.empty(shape, dtype=like.dtype, device=like.device)


def give_back(*pieces: Tensor) -> None:
    """Memory that is no longer used."""
    _free.extend(pieces)
    while sum(piece.nbytes for piece in _free) > FREE:
        del _free[0]
