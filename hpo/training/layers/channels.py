"""The order in memory of images: channels before pixels, or last, as behind convolutions of large images.

A lane's order must not depend on its neighbours, because layers round otherwise in the other order.

Dimensions: K lanes, B examples, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import Tensor


def channels_last(x: Tensor) -> Tensor:
    """The images of one lane, [B, C, H, W], with channels last in memory."""
    return x.contiguous(memory_format=torch.channels_last)


def all_channels_last(x: Tensor) -> Tensor:
    """The images of all lanes, [K, B, C, H, W], with channels last in memory."""
    return x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)


def joined(parts: list[Tensor]) -> Tensor:
    """Lanes one after the other, in the order in memory that they have."""
    if all(map(is_channels_last, parts)):
        return torch.cat([part.permute(0, 1, 3, 4, 2) for part in parts]).permute(0, 1, 4, 2, 3)
    return torch.cat(parts)


def is_channels_last(x: Tensor) -> bool:
    """Whether the images [K, B, C, H, W] have channels last in memory, and more than one."""
    return x.dim() == 5 and not x.is_contiguous() and x.permute(0, 1, 3, 4, 2).is_contiguous()
