"""A recurrent layer of sequences that end early.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, T steps, F features, H units of all directions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from hpo.models.layers.flow import Carried
from hpo.models.layers.pooling import Pool


class Recurrent(nn.Module):
    """One layer, in one direction or both; with a pooling, the model's last one. What
    lies behind a sequence's end changes nothing."""

    takes_carried = True

    def __init__(
        self,
        cell: str,
        features: int,
        units: int,
        directions: int,
        pooling: str,
    ) -> None:
        """`cell`: "GRU", "LSTM", "RNN_TANH" or "RNN_RELU". `pooling`: see `Pool`; ""
        for none."""
        super().__init__()
        self.cell, self.features, self.units = cell, features, units
        self.directions, self.pooling = directions, pooling
        both = directions == 2
        self.run: nn.RNNBase
        if cell in ("GRU", "LSTM"):
            kind = nn.GRU if cell == "GRU" else nn.LSTM
            self.run = kind(features, units, batch_first=True, bidirectional=both)
        else:
            self.run = nn.RNN(
                features,
                units,
                nonlinearity=cell.removeprefix("RNN_").lower(),
                batch_first=True,
                bidirectional=both,
            )

    def __repr__(self) -> str:
        """The call that makes it."""
        size = f"features={self.features}, units={self.units}"
        rest = f"directions={self.directions}, pooling={self.pooling!r}"
        return f"Recurrent(cell={self.cell!r}, {size}, {rest})"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T, F] -> [B, T, H], 0 behind a sequence's end; pooled, [B, H]."""
        if carried.real is None:
            y, last = self.run(x)
        else:
            ends = carried.real.sum(1).cpu()
            y, last = self.run(pack_padded_sequence(x, ends, True, False))
        if self.pooling == "last":
            h = last[0] if self.cell == "LSTM" else last
            return torch.cat(tuple(h), dim=1)
        if carried.real is not None:
            y, _ = pad_packed_sequence(y, True, 0.0, x.shape[1])
        if not self.pooling:
            steps: Tensor = y
            return steps
        return Pool(self.pooling).forward(y, carried)
