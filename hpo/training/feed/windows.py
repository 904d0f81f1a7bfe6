"""The order of a lane's epoch on streamed data: windows by chance, and the rows of a window by chance.

A window is a run of rows of the file, which was shuffled when it was written. The order of the windows depends on the
study's seed, the part and the epoch, so all lanes in one epoch read the same windows at the same time; the order of a
window's rows depends on trial and replica, too. An order of fixed size: parts of any size need no memory for it.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property

import torch
from torch import Tensor

from hpo.training import randomness

WINDOW = 2**23
"""Bytes of a window."""
LEAST = 64
"""Rows of a window that have more bytes."""


def window_rows(row_bytes: int) -> int:
    """Rows of a window."""
    return max(LEAST, WINDOW // row_bytes)


class WindowOrder:
    """The rows of an epoch's batches, counted from the first of all parts; slices of it are tensors [N]. Behind the
    part's last row it begins again."""

    def __init__(self, *, first: int, size: int, window: int, part: int, seed: int, lane: tuple[int, int, int]) -> None:
        """`first` and `size`: of the rows of the part; `window`: rows of a window; `lane`: trial, replica and epoch."""
        self.first, self.size, self.window = first, size, window
        self.part, self.seed, self.lane = part, seed, lane
        self._drawn: tuple[int, Tensor] = (-1, torch.empty(0, dtype=torch.long))

    def __getitem__(self, places: slice) -> Tensor:
        pieces, place = [], places.start
        while place < places.stop:
            at = place % self.size
            turn = bisect_right(self._begins, at) - 1
            rows = self._rows(turn)[at - self._begins[turn] :][: places.stop - place]
            pieces.append(rows)
            place += len(rows)
        return torch.cat(pieces) if pieces else torch.empty(0, dtype=torch.long)

    @cached_property
    def _windows(self) -> list[int]:
        """Numbers of the windows in the order of the epoch."""
        generator = randomness.generator("windows", self.seed, self.part, self.lane[2])
        return torch.randperm(-(-self.size // self.window), generator=generator).tolist()

    @cached_property
    def _begins(self) -> list[int]:
        """Place of the first row of each."""
        begins, place = [], 0
        for number in self._windows:
            begins.append(place)
            place += min(self.window, self.size - number * self.window)
        return begins

    def _rows(self, turn: int) -> Tensor:
        """The rows of a window, in the lane's order."""
        if self._drawn[0] != turn:
            number = self._windows[turn]
            generator = randomness.generator("order", self.seed, *self.lane, number)
            count = min(self.window, self.size - number * self.window)
            rows = torch.randperm(count, generator=generator) + (self.first + number * self.window)
            self._drawn = turn, rows
        return self._drawn[1]
