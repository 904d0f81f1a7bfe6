"""The real steps of a batch one behind another, in place of examples that are filled up to one length.

A layer that treats every step alone (linear, activation, normalisation of a step's features) takes these rows as it
takes examples, [K, N, F]. Attention looks at the steps of one example: it takes examples of similar length together.

Dimensions: K lanes, B examples, T steps, N rows of a lane, G examples of a group, L steps of its longest one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hpo.training.layout import ALIGNMENT

SHORT = 16
"""Examples up to this length are one group; every further group has examples up to twice as long."""


@dataclass(frozen=True, kw_only=True)
class Group:
    """Examples of similar length, of any lane."""

    example_G: Tensor
    """Their numbers among the K * B examples."""
    row_GL: Tensor
    """Where their steps are among the K * N rows; behind an example's end, any."""
    real_GL: Tensor | None
    """False behind an example's end; None where all have the same length."""

    @cached_property
    def behind_G11L(self) -> Tensor | None:
        """True behind an example's end."""
        return None if self.real_GL is None else ~self.real_GL[:, None, None, :]

    @cached_property
    def place_M(self) -> Tensor:
        """The places of real steps among the G * L."""
        assert self.real_GL is not None
        return self.real_GL.flatten().nonzero().squeeze(1)

    @cached_property
    def row_M(self) -> Tensor:
        """Their rows."""
        return self.row_GL.flatten()[self.place_M]

    def gather(self, x_KNF: Tensor) -> Tensor:
        """[K, N, F] -> [G, L, F]; behind an example's end, any numbers."""
        return x_KNF.flatten(0, 1).index_select(0, self.row_GL.flatten()).view(*self.row_GL.shape, -1)


class Rows:
    """Where the real steps of K lanes are."""

    def __init__(self, real_KBT: Tensor) -> None:
        """`real_KBT`: True where an example has a step; every example has at least one."""
        self.lanes, self.examples, self.steps = real_KBT.shape
        self.length_KB = real_KBT.sum(2)
        counts = self.length_KB.sum(1).tolist()
        longest = max(counts)
        self.count = longest + -longest % ALIGNMENT
        """N, whole cache lines of rows; a lane with fewer steps has rows without meaning behind them."""
        device = real_KBT.device
        lane, place = real_KBT.flatten(1).nonzero(as_tuple=True)
        ends = torch.tensor([0, *counts], device=device).cumsum(0)
        slot = torch.arange(len(lane), device=device) - ends[lane]
        self.source_KN = torch.zeros(self.lanes, self.count, dtype=torch.long, device=device)
        """Which of the B * T steps each row is."""
        self.source_KN[lane, slot] = place
        self.meaning_KN = torch.arange(self.count, device=device) < torch.tensor(counts, device=device).unsqueeze(1)
        """True for rows that are steps."""
        self.all_mean = min(counts) == self.count

    def pack(self, x_KBTF: Tensor) -> Tensor:
        """[K, B, T, F] -> [K, N, F]; 0 in rows without meaning."""
        flat = x_KBTF.flatten(1, 2)
        if self.lanes == 1:
            return self.silence(flat[0].index_select(0, self.source_KN[0]).unsqueeze(0))
        return self.silence(flat.gather(1, self.source_KN.unsqueeze(2).expand(-1, -1, flat.shape[2])))

    def silence(self, x_KNF: Tensor) -> Tensor:
        """Writes 0 into rows without meaning; no such row may have a gradient."""
        return x_KNF if self.all_mean else x_KNF.masked_fill_(~self.meaning_KN.unsqueeze(2), 0.0)

    @cached_property
    def step_KN(self) -> Tensor:
        """The position of each row's step in its example."""
        return self.source_KN % self.steps

    @cached_property
    def first_KB(self) -> Tensor:
        """The row of each example's first step."""
        return self.length_KB.cumsum(1) - self.length_KB

    def share_KBN(self, dtype: torch.dtype) -> Tensor:
        """1 over the number of an example's steps at its steps' rows, else 0: a product with it gives means."""
        example = (self.source_KN // self.steps).unsqueeze(1)
        own = example == torch.arange(self.examples, device=example.device).view(1, -1, 1)
        if not self.all_mean:
            own &= self.meaning_KN.unsqueeze(1)
        return own.to(dtype) / self.length_KB.to(dtype).unsqueeze(2)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The examples by length."""
        length, device = self.length_KB.flatten(), self.length_KB.device
        begin = (self.first_KB + torch.arange(self.lanes, device=device).unsqueeze(1) * self.count).flatten()
        lengths, found, low = length.tolist(), [], 0
        while low < max(lengths):
            high = max(SHORT, 2 * low)
            if members := [i for i, size in enumerate(lengths) if low < size <= high]:
                example = torch.tensor(members, device=device)
                sizes = [lengths[i] for i in members]
                step = torch.arange(max(sizes), device=device)
                real = None if min(sizes) == max(sizes) else step < length[example].unsqueeze(1)
                row = begin[example].unsqueeze(1) + (step if real is None else step * real)
                found.append(Group(example_G=example, row_GL=row, real_GL=real))
            low = high
        return tuple(found)

    def scatter(self, parts: list[Tensor]) -> Tensor:
        """[G, L, F] for each group -> [K, N, F]; 0 in rows without meaning."""
        whole = parts[0].new_zeros(self.lanes * self.count, parts[0].shape[2])
        for group, part in zip(self.groups, parts, strict=True):
            rows = part.flatten(0, 1)
            if group.real_GL is None:
                whole.index_copy_(0, group.row_GL.flatten(), rows)
            else:
                whole.index_copy_(0, group.row_M, rows.index_select(0, group.place_M))
        return whole.view(self.lanes, self.count, -1)
