"""Modules of the user's own for `benchmarks.throughput`, over sequences with a mask."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn


class Recurrent(nn.Module):
    """A GRU, and the mean of its outputs over real steps."""

    def __init__(self, inputs: dict[str, Any], outputs: int) -> None:
        super().__init__()
        self.cells = nn.GRU(inputs["values"]["shape"][1], 64, batch_first=True)
        self.last = nn.Linear(64, outputs)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        real = mask.unsqueeze(2)
        y = self.cells(values)[0] * real
        answer: Tensor = self.last(y.sum(1) / real.sum(1))
        return answer


class Encoder(nn.Module):
    """Two layers of a transformer of width 32, and the mean of their outputs over real steps."""

    def __init__(self, inputs: dict[str, Any], outputs: int) -> None:
        super().__init__()
        length, channels = inputs["values"]["shape"]
        self.first = nn.Linear(channels, 32)
        self.places = nn.Parameter(torch.zeros(length, 32))
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.last = nn.Linear(32, outputs)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        real = mask.unsqueeze(2)
        y = self.encoder(self.first(values) + self.places, src_key_padding_mask=~mask) * real
        answer: Tensor = self.last(y.sum(1) / real.sum(1))
        return answer


class Packed(nn.Module):
    """A GRU over packed sequences, which lanes cannot do together."""

    def __init__(self, inputs: dict[str, Any], outputs: int) -> None:
        super().__init__()
        self.cells = nn.GRU(inputs["values"]["shape"][1], 64, batch_first=True)
        self.last = nn.Linear(64, outputs)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(values, mask.sum(1).cpu(), batch_first=True, enforce_sorted=False)
        answer: Tensor = self.last(self.cells(packed)[1][-1])
        return answer


class Branching(nn.Module):
    """A perceptron with a branch on the values of a tensor, which lanes cannot do together."""

    def __init__(self, input_shape: tuple[int, ...], outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(math.prod(input_shape), 64)
        self.second = nn.Linear(64, 64)
        self.last = nn.Linear(64, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.second(self.first(x.flatten(1)).relu()).relu()
        if x.max() > 1e6:
            x = x / x.max()
        answer: Tensor = self.last(x)
        return answer
