"""A classifier of texts. Dimensions: B examples, T words, E numbers for each word."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """An embedding for each word, and their mean, in which the words have weights that are learnt (attention)."""

    def __init__(
        self, input_shape: tuple[int, ...], outputs: int, inputs: dict[str, Any], width: int = 32, dropout: float = 0.2
    ) -> None:
        """`inputs`: what the data give; of the texts, how many tokens there are. `width`: numbers for each word."""
        super().__init__()
        (tokens,) = inputs["tokens"]["sizes"]
        self.embedding = nn.Embedding(tokens, width)
        self.attention = nn.Linear(width, 1)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(width, outputs)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """`tokens` [B, T]; `mask` [B, T], true for the words that a text has -> logits [B, outputs]."""
        words_BTE = self.dropout(self.embedding(tokens))
        scores_BT = self.attention(words_BTE).squeeze(-1)
        weights_BT = torch.softmax(scores_BT.masked_fill(~mask, -1e9), dim=1)
        return self.output((words_BTE * weights_BT.unsqueeze(-1)).sum(dim=1))
