"""Vectors for the numbers of a table.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, F features, N columns of numbers, W waves, D numbers of a vector.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Periodic(nn.Module):
    """Waves of each number with learned frequencies, then a linear layer and ReLU for
    each column (Gorishniy et al. 2022)."""

    def __init__(self, columns: int, waves: int, width: int) -> None:
        """The first `columns` features are numbers; the others stay as they are."""
        super().__init__()
        self.columns, self.waves, self.width = columns, waves, width
        self.frequency = nn.Parameter(torch.zeros(columns * waves))
        self.weight = nn.Parameter(torch.zeros(columns * width, 2 * waves))
        self.bias = nn.Parameter(torch.zeros(columns * width))

    def extra_repr(self) -> str:
        """The arguments."""
        return f"columns={self.columns}, waves={self.waves}, width={self.width}"

    def forward(self, x: Tensor) -> Tensor:
        """[B, F] -> [B, N * D + F - N]."""
        numbers, others = x[:, : self.columns], x[:, self.columns :]
        frequency = self.frequency.view(self.columns, self.waves)
        angle = 2 * torch.pi * numbers.unsqueeze(2) * frequency
        waves = torch.cat([angle.sin(), angle.cos()], dim=2)
        weight = self.weight.view(self.columns, self.width, 2 * self.waves)
        vectors = torch.einsum("bnw,ndw->bnd", waves, weight).flatten(1)
        return torch.cat([(vectors + self.bias).relu(), others], dim=1)
