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
    size = grow * portion.strength("scale", 1) + 1.0
    turns = "rotate" in portion.strengths
    if turns:
        angle = (turn * (portion.strength("rotate", 1) * (CIRCLE / 360))).round().long() % CIRCLE
        cosines, sines = _circle(x.dtype, x.device)
        cos, sin = cosines[angle] / size, sines[angle] / size
    else:
        cos, sin = 1.0 / size, torch.zeros_like(size)
    across, along = _centred(height, width, x.dtype, x.device)
    # One row of H x W places for each image, first all of one axis: both are faster than the usual order.
    grid = torch.empty(2, math.prod(shape[:3]), height * width, dtype=x.dtype, device=x.device)
    for axis, (by_column, by_row, length) in enumerate(((cos, sin, width), (-sin, cos, height))):
        unit = 2.0 / length  # the sampled area reaches from -1 to 1
        start = ((by_column * right + by_row * down) * -unit).view(-1, 1)
        terms = [((by_column * unit).view(-1, 1), across), ((by_row * unit).view(-1, 1), along)]
        # Without rotation, a coordinate depends on that of its own axis alone.
        for number, (factor, place) in enumerate(terms if turns else terms[axis : axis + 1]):
            if number == 0:
                torch.mul(factor, place, out=grid[axis]).add_(start)
            else:
                grid[axis].add_(factor * place)
    black = portion.darkest_KF[:, None, :, None, None]
    images = x.sub_(black).view(-1, *shape[3:])
    moved: Tensor = F.grid_sample(images, grid.permute(1, 2, 0).unsqueeze(1), align_corners=False)
    return moved.view(shape).add_(black)


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
def _centred(height: int, width: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """[H * W] column and row of each pixel, counted from the centre."""
    rows, columns = (torch.arange(length, dtype=dtype, device=device) - (length - 1) / 2 for length in (height, width))
    return columns.repeat(height), rows.repeat_interleave(width)
