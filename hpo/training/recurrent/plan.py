"""Which sequences run together: those of about the same length, so that few steps behind their ends are computed.

A block is a few sequences of one lane. It is computed by products of its own, always of the same size, so that its
numbers do not depend on what runs beside it. A group is some blocks of about the same length; its weights fit into a
cache. Blocks that have ended leave their group.

Dimensions: K lanes, B examples, T steps, N blocks of a group, R rows of a block.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

ROWS, MOST_ROWS, BLOCKS = 16, 64, 8
"""Sequences of a block: a multiple of the first, a whole cache line, so that rounding is the same for every block, see
`dense.product`; the second at most. Within these, a large batch has so many blocks."""
STRIDE = 8
"""Steps whose products with the inputs are computed at once."""
CACHE = 2**18
"""Weights of the blocks of a group on a CPU, together."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Blocks that run together, the longest ones first."""

    lanes_N: Tensor
    """Lane of each block."""
    examples_NR: Tensor
    """Number of each row's example, counted over all lanes; behind the last one for rows without an example."""
    lengths_NR: Tensor
    """Steps of each; 0 for rows without an example."""
    blocks: tuple[int, ...]
    """How many blocks have not ended at the begin of each stretch of STRIDE steps."""

    @property
    def steps(self) -> int:
        """Of the longest sequence, rounded up."""
        return STRIDE * len(self.blocks)

    @property
    def count(self) -> int:
        """Blocks."""
        return len(self.lanes_N)

    def rows(self, length: int, total: int, *, reverse: bool) -> Tensor:
        """[N, T, R] row of each step among the `total` steps of all examples, `length` of each; `total` for steps that
        are not there. `reverse`: from a sequence's end to its begin."""
        step = torch.arange(self.steps, device=self.lanes_N.device).view(1, -1, 1)
        lengths = self.lengths_NR.unsqueeze(1)
        place = lengths - 1 - step if reverse else step
        return torch.where(step < lengths, self.examples_NR.unsqueeze(1) * length + place, total)

    @cached_property
    def last_TNR1(self) -> Tensor:
        """True at a sequence's last step."""
        step = torch.arange(self.steps, device=self.lanes_N.device).view(-1, 1, 1)
        return (step == self.lengths_NR - 1).unsqueeze(3)

    @cached_property
    def real_TNR1(self) -> Tensor:
        """True where a sequence has a step."""
        step = torch.arange(self.steps, device=self.lanes_N.device).view(-1, 1, 1)
        return (step < self.lengths_NR).unsqueeze(3)


def groups_of(lengths_KB: Tensor, weights: int) -> Iterator[Group]:
    """Sorts the sequences of each lane by length, divides them into blocks and these into groups. A lane's blocks keep
    their order. `weights`: of one lane."""
    lanes, batch = lengths_KB.shape
    device = lengths_KB.device
    size = min(MOST_ROWS, max(ROWS, batch // BLOCKS // ROWS * ROWS))
    more = -batch % size
    found = lengths_KB.sort(dim=1, descending=True, stable=True)
    examples = found.indices + torch.arange(lanes, device=device).unsqueeze(1) * batch
    lengths = F.pad(found.values, (0, more)).view(-1, size)
    examples = F.pad(examples, (0, more), value=lanes * batch).view(-1, size)
    longest = lengths[:, 0].sort(descending=True, stable=True)
    count = len(lengths) if device.type == "cuda" else max(1, CACHE // weights)
    per_lane = lengths.shape[0] // lanes
    for order, ends in zip(longest.indices.split(count), longest.values.split(count), strict=True):
        steps = ends.tolist()
        begins = range(0, max(steps), STRIDE)
        yield Group(
            lanes_N=order // per_lane,
            examples_NR=examples[order],
            lengths_NR=lengths[order],
            blocks=tuple(sum(end > begin for end in steps) for begin in begins),
        )
