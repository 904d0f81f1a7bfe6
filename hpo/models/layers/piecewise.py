"""Vectors for the numbers of a table, from the places of numbers between quantiles.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, F features, N columns of numbers, Q bins, D numbers of a vector,
R rows that the edges of bins are found from.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PiecewiseLinear(nn.Module):
    """A piecewise linear encoding of each number, then a linear layer and ReLU for each
    column (Gorishniy et al. 2022). Of a bin below the number the encoding has 1, of one
    above it 0, of its own the share of the bin below it; the first and the last bin
    have no end."""

    edges: Tensor

    def __init__(self, columns: int, bins: int, width: int) -> None:
        """The first `columns` features are numbers; the others stay as they are."""
        super().__init__()
        self.columns, self.bins, self.width = columns, bins, width
        edges = torch.linspace(-1.0, 1.0, bins + 1).repeat(columns, 1)
        self.register_buffer("edges", edges)
        self.weight = nn.Parameter(torch.zeros(columns * width, bins))
        self.bias = nn.Parameter(torch.zeros(columns * width))

    def extra_repr(self) -> str:
        """The arguments."""
        return f"columns={self.columns}, bins={self.bins}, width={self.width}"

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Takes quantiles of the columns of [R, F], at equal distances, for edges. A
        column of fewer values has fewer bins: its last edges are equal."""
        numbers = x[:, : self.columns].double().sort(dim=0).values
        places = torch.linspace(0, 1, self.bins + 1, dtype=torch.float64)
        places = places * (len(numbers) - 1)
        below = places.floor().long()
        above = (below + 1).clamp(max=len(numbers) - 1)
        shares = (places - below).unsqueeze(1)
        found = numbers[below] * (1 - shares) + numbers[above] * shares
        for column, edges in enumerate(found.T.to(self.edges.dtype)):
            different = edges.unique()
            self.edges[column] = different[-1]
            self.edges[column, : len(different)] = different

    def forward(self, x: Tensor) -> Tensor:
        """[B, F] -> [B, N * D + F - N]."""
        begin, rate, low, high = bounds(self.edges)
        numbers, others = x[:, : self.columns], x[:, self.columns :]
        code = ((numbers.unsqueeze(2) - begin) * rate).maximum(low).minimum(high)
        weight = self.weight.view(self.columns, self.width, self.bins)
        vectors = torch.einsum("bnq,ndq->bnd", code, weight).flatten(1)
        return torch.cat([(vectors + self.bias).relu(), others], dim=1)


def bounds(edges: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """[..., N, Q] each, from edges [..., N, Q + 1]: the begin of each bin, one by its
    width, and the bounds of the encoding. Bins without width have the encoding 0."""
    begin, end = edges[..., :-1], edges[..., 1:]
    real = end > begin
    rate = torch.where(real, 1.0 / torch.where(real, end - begin, 1.0), 0.0)
    low, high = torch.zeros_like(begin), torch.ones_like(begin)
    low[..., 0] = -torch.inf
    high = torch.where(real & (end == edges[..., -1:]), torch.inf, high)
    return begin, rate, low, high
