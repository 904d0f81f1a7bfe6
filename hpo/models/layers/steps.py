"""The first layer of models of sequences: a row becomes its steps, with a mask of the real ones.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, C channels, T steps, V words, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpo.models.layers.flow import Carried


class Steps(nn.Module):
    """Steps of a sequence of channels."""

    takes_carried = True

    def __init__(self, channels: int, length: int, masked: bool) -> None:
        """`masked`: sequences end early, and T numbers after the values say where."""
        super().__init__()
        self.channels, self.length, self.masked = channels, length, masked

    def extra_repr(self) -> str:
        """The arguments."""
        return f"channels={self.channels}, length={self.length}, masked={self.masked}"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T * C (+ T)] -> [B, T, C]; 0 behind a sequence's end. An empty sequence
        is one step of 0."""
        rows = x.flatten(1)
        numbers = self.length * self.channels
        steps = rows[:, :numbers].reshape(-1, self.length, self.channels)
        if not self.masked:
            return steps
        real = rows[:, numbers:] > 0
        steps = steps * real.to(x.dtype).unsqueeze(2)
        real[:, 0] = True
        carried.real = real
        return steps


class WordSteps(nn.Module):
    """Steps of a text: a vector for each word."""

    takes_carried = True

    def __init__(self, length: int, vocabulary: int, width: int) -> None:
        super().__init__()
        self.length, self.vocabulary, self.width = length, vocabulary, width
        self.words = nn.Parameter(torch.zeros(vocabulary, width))

    @torch.no_grad()
    def clear_unknown(self) -> None:
        """What training may never meet, unknown words, has a vector of 0."""
        self.words[:2] = 0.0

    def extra_repr(self) -> str:
        """The arguments."""
        size = f"length={self.length}, vocabulary={self.vocabulary}"
        return f"{size}, width={self.width}"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T] -> [B, T, F]; 0 behind a text's end. An empty text is one unknown
        word."""
        tokens = x.flatten(1).long()
        real = tokens > 0
        real[:, 0] = True
        carried.real = real
        return self.words[tokens] * real.to(self.words.dtype).unsqueeze(2)
