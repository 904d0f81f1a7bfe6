"""The layers of a transformer encoder that PyTorch does not have on their own: attention
between projections, positions, and a class token.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, T steps, F features, H heads, D features of a head.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpo.models.layers.flow import Carried


class ClassToken(nn.Module):
    """Puts a learned step before the steps of every example."""

    takes_carried = True

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.token = nn.Parameter(torch.zeros(width))

    def extra_repr(self) -> str:
        """The arguments."""
        return f"width={self.width}"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T, F] -> [B, 1 + T, F]."""
        if carried.real is not None:
            carried.real = nn.functional.pad(carried.real, (1, 0), value=True)
        return torch.cat([self.token.expand(len(x), 1, -1), x], dim=1)


class Positions(nn.Module):
    """Adds a vector that depends on the step's position, learned or of sines and
    cosines whose wavelengths grow from 2 pi to 10,000 times 2 pi (Vaswani et al.
    2017)."""

    table: Tensor

    def __init__(self, length: int, width: int, kind: str, scale: float = 1.0) -> None:
        """`kind`: "learned" or "sinusoidal". `scale`: the height of the waves."""
        super().__init__()
        self.length, self.width = length, width
        self.kind, self.scale = kind, scale
        if kind == "learned":
            self.table = nn.Parameter(torch.zeros(length, width))
            return
        pairs = torch.arange(0, width, 2, dtype=torch.float64)
        step = torch.arange(length, dtype=torch.float64).unsqueeze(1)
        angle = step * 10000.0 ** (-pairs / width)
        waves = torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)[:, :width]
        self.register_buffer("table", (scale * waves).float(), persistent=False)

    def extra_repr(self) -> str:
        """The arguments."""
        size = f"length={self.length}, width={self.width}"
        return f"{size}, kind={self.kind!r}, scale={self.scale}"

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, F] -> [B, T, F]."""
        return x + self.table


class Attention(nn.Module):
    """Scaled dot-product attention of several heads (Vaswani et al. 2017) over the
    steps that an example has. A linear layer before it gives queries, keys and values,
    one after it mixes the heads, as in nn.MultiheadAttention."""

    takes_carried = True

    def __init__(self, heads: int, dropout: float = 0.0) -> None:
        """`dropout`: probability of leaving out a weight in training."""
        super().__init__()
        self.heads, self.dropout = heads, dropout

    def extra_repr(self) -> str:
        """The arguments."""
        return f"heads={self.heads}, dropout={self.dropout}"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T, 3 * H * D] queries, keys, values -> [B, T, H * D]."""
        query, key, value = x.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        real = carried.real
        mask = None if real is None else real[:, None, None, :]
        p = self.dropout if self.training else 0.0
        attend = nn.functional.scaled_dot_product_attention
        y = attend(query, key, value, mask, dropout_p=p)
        return y.transpose(1, 2).flatten(2)
