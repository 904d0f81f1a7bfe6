"""Dropout masks that are drawn where they are used, because only there is known how many numbers they have.

Dimensions: K lanes, S steps, N rows, F features, G examples of a group, H heads, L steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.training import randomness
from hpo.training.layers.frame import LayerContext
from hpo.training.ragged.rows import Group, Rows


@dataclass(frozen=True, kw_only=True, slots=True)
class LateMask:
    """The masks of one dropout layer."""

    context: LayerContext
    name: str

    @classmethod
    def of(cls, context: LayerContext, name: str) -> LateMask | None:
        """None where no lane drops anything."""
        found = context.frame.training and f"{name}.limit" in context.frame.columns
        return cls(context=context, name=name) if found else None

    def of_rows(self, like: Tensor) -> Tensor:
        """[K, N, F]: it does not depend on N."""
        drawn = randomness.uniform_24(_starts(like[0].numel(), like.device), self._key())
        return randomness.kept(drawn, *self._numbers()).view(like.shape)

    def of_pairs(self, rows: Rows, group: Group, heads: int) -> Tensor:
        """[G * H, L, L]: of a pair of steps it does not depend on L."""
        lane = group.example_G // rows.examples
        key = randomness.mixed(self._key()[lane], (group.example_G % rows.examples).int())
        steps, most = group.row_GL.shape[1], rows.steps
        every = _starts(heads * most * most, key.device).view(heads, most, most)
        drawn = randomness.uniform_24(every[:, :steps, :steps].flatten(), key)
        limit, scale = (numbers[lane] for numbers in self._numbers())
        return randomness.kept(drawn, limit, scale).view(-1, steps, steps)

    def _key(self) -> Tensor:
        key = self.context.mask(self.name)
        assert key is not None
        return key

    def _numbers(self) -> tuple[Tensor, Tensor]:
        columns, lanes = self.context.frame.columns, self.context.lanes
        return columns[f"{self.name}.limit"][lanes], columns[f"{self.name}.scale"][lanes]


def _starts(count: int, device: torch.device) -> Tensor:
    """[count] starting points for `uniform_24`, from a table of whole powers of two, which is kept."""
    return randomness.index_hash(1 << (count - 1).bit_length(), 0, device)[:count]
