"""A convolutional network for sequences of unequal length. Dimensions: B examples, T steps, C channels."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """Convolutions over time, then mean and maximum over the steps that an example has."""

    def __init__(
        self,
        input_shape: tuple[int, ...],
        outputs: int,
        channels: int = 32,
        kernel: int = 5,
        blocks: int = 2,
        dropout: float = 0.2,
    ) -> None:
        """`input_shape`: (longest length, channels). `kernel`: steps that a convolution sees, an odd number."""
        super().__init__()
        widths = [input_shape[1], *[channels] * blocks]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, kernel, padding=kernel // 2) for before, after in pairwise(widths)
        )
        # Statistics of each step alone: those of a batch would count the steps behind the end of shorter examples.
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(blocks))
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(2 * channels, outputs)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        """`values` [B, T, C]; `mask` [B, T], true for the steps that an example has -> logits [B, outputs]."""
        here = mask.unsqueeze(-1)
        x = values
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x = x * here  # as if nothing followed the last step
            x = torch.relu(norm(convolution(x.transpose(1, 2)).transpose(1, 2)))
        mean = (x * here).sum(dim=1) / here.sum(dim=1)
        most = x.masked_fill(~here, 0.0).amax(dim=1)  # nothing is below 0 after a ReLU
        return self.output(self.dropout(torch.cat([mean, most], dim=1)))
