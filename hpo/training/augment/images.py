"""Changes to images, [S, K, B, F, H, W]: moved, turned and resized in one pass, mirrored, and a square cut out.

Dimensions: S steps, K lanes, B examples, F channels, H rows, W columns of pixels.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from hpo.training.augment.portion import Portion

CIRCLE = 2**16
"""Angles that there are."""


def move(portion: Portion) -> Tensor:
    """Shift, rotate and scale about the centre, with bilinear sampling."""
    x = portion.x
    shape, (height, width) = x.shape, x.shape[-2:]
    right, down, turn, grow = portion.uniform("move", 4).mul_(2.0).sub_(1.0).unbind(-1)
    right, down = right * portion.strength("shift", 1), down * portion.strength("shift", 1)
    angle = (turn * (portion.strength("rotate", 1) * (CIRCLE / 360))).round().long() % CIRCLE
    cosines, sines = _circle(x.dtype, x.device)
    size = grow * portion.strength("scale", 1) + 1.0
    cos, sin = cosines[angle] / size, sines[angle] / size
    grid = torch.empty(math.prod(shape[:3]), height, width, 2, dtype=x.dtype, device=x.device)
    across, along = (_centred(length, x.dtype, x.device) for length in (width, height))
    for axis, (by_column, by_row, length) in enumerate(((cos, sin, width), (-sin, cos, height))):
        unit = 2.0 / length  # the sampled area reaches from -1 to 1
        start = -(by_column * right + by_row * down)
        columns = (by_column * unit).view(-1, 1, 1) * across
        rows = ((by_row.unsqueeze(-1) * along + start.unsqueeze(-1)) * unit).view(-1, height, 1)
        torch.add(columns, rows, out=grid[..., axis])
    black = portion.darkest_KF[:, None, :, None, None]
    images = (x - black).view(-1, *shape[3:])
    return F.grid_sample(images, grid, align_corners=False).view(shape).add_(black)


def flip(portion: Portion) -> Tensor:
    """Mirrored left to right."""
    mirrored = portion.uniform("flip", 1)[..., None, None] < portion.strength("flip", 4)
    return torch.where(mirrored, portion.x.flip(-1), portion.x)


def cutout(portion: Portion) -> Tensor:
    """A black square around a random pixel; parts of it may lie outside the image."""
    height, width = portion.x.shape[-2:]
    down, right = portion.uniform("cutout", 2).unbind(-1)
    side = portion.strength("cutout", 2).long()
    inside = []
    for length, place in ((height, down), (width, right)):
        first = portion.below(length, place).unsqueeze(-1) - side // 2
        pixel = torch.arange(length, device=portion.x.device)
        inside.append((pixel >= first) & (pixel < first + side))
    square = (inside[0].unsqueeze(-1) & inside[1].unsqueeze(-2)).unsqueeze(3)
    return torch.where(square, portion.darkest_KF[:, None, :, None, None], portion.x)


@lru_cache(maxsize=4)
def _circle(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    angle = torch.arange(CIRCLE, dtype=torch.float64) * (2 * math.pi / CIRCLE)
    return angle.cos().to(device, dtype), angle.sin().to(device, dtype)


@lru_cache(maxsize=16)
def _centred(length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Places of the pixels, counted from the centre."""
    return torch.arange(length, dtype=dtype, device=device) - (length - 1) / 2
