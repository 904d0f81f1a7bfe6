"""Pooling of a group's outputs, without room for the steps of all examples.

Dimensions: N blocks of a group, T steps, R rows of a block, U units.
"""

from __future__ import annotations

import torch
from torch import Tensor

from hpo.training.recurrent.plan import STRIDE, Group


class Pooled:
    """The last real step, or mean or maximum over the real steps."""

    def __init__(self, kind: str, group: Group, y: Tensor) -> None:
        """`y`: outputs [N, T, R, U]."""
        self.kind, self.group = kind, group
        lengths = group.lengths_NR
        if kind == "last":
            place = (lengths - 1).clamp(min=0)[:, None, :, None].expand(-1, 1, -1, y.shape[3])
            self.value = y.gather(1, place).squeeze(1)
        elif kind == "mean":
            self.share = 1.0 / lengths.clamp(min=1).to(y.dtype).unsqueeze(2)
            self.value = y.new_zeros(y.shape[0], *y.shape[2:])
            # Not all steps at once: how many the group has depends on other lanes, and sums of more are rounded
            # differently.
            for stretch, k in enumerate(group.blocks):
                span = slice(stretch * STRIDE, (stretch + 1) * STRIDE)
                real = group.real_TNR1[span, :k].transpose(0, 1).to(y.dtype)
                self.value[:k] += (y[:k, span] * real).sum(1)
            self.value *= self.share
        else:
            behind = ~group.real_TNR1.transpose(0, 1)
            self.value, self.place = y.masked_fill(behind, torch.finfo(y.dtype).min).max(1)

    def gradient(self, g: Tensor, step: int, blocks: int) -> Tensor:
        """That of the outputs of one step of the first blocks, from that of the pooled ones [N, R, U]."""
        if self.kind == "last":
            return g[:blocks] * self.group.last_TNR1[step, :blocks].to(g.dtype)
        if self.kind == "mean":
            return g[:blocks] * (self.group.real_TNR1[step, :blocks] * self.share[:blocks])
        return g[:blocks] * (self.place[:blocks] == step).to(g.dtype)
