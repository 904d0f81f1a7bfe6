"""From the steps of a sequence to one vector.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, T steps, F features.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpo.models.layers.flow import Carried


class Pool(nn.Module):
    """The first or last real step, or mean or maximum over the real steps."""

    takes_carried = True

    def __init__(self, kind: str, backward: int = 0) -> None:
        """`kind`: "first", "last", "mean" or "max". `backward`: how many features, the
        last ones, come from a layer that runs from end to begin; their last step is the
        first one."""
        super().__init__()
        self.kind, self.backward = kind, backward

    def extra_repr(self) -> str:
        """The arguments."""
        return f"kind={self.kind!r}, backward={self.backward}"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T, F] -> [B, F]; what lies behind a sequence's end does not matter."""
        real = carried.real
        if real is None:
            real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        if self.kind == "first":
            return x[:, 0]
        if self.kind == "max":
            lowest = torch.finfo(x.dtype).min
            return x.masked_fill(~real.unsqueeze(2), lowest).max(1).values
        count = real.sum(1)
        if self.kind == "mean":
            seen = x.masked_fill(~real.unsqueeze(2), 0.0)
            return seen.sum(1) / count.to(x.dtype).unsqueeze(1)
        ahead = x.shape[2] - self.backward
        last = x[torch.arange(len(x), device=x.device), count - 1, :ahead]
        return torch.cat([last, x[:, 0, ahead:]], dim=1)
