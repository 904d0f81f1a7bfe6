"""Examples on the disk, read in windows. Windows that the latest batches came from are kept, so that lanes
that are in one epoch share them.

Dimensions: S steps, K lanes, B examples of a batch.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import accumulate

import torch
from torch import Tensor

from hpo.data.streaming.row_file import RowFile
from hpo.training.feed.windows import window_rows

KEPT = 2**28
"""Bytes of windows that are kept at most; one is in any case."""
READ = 2**24
"""Bytes of examples that are gathered, or scored, at once."""
EVALUATED = 512
"""Validation examples are read in multiples of this."""


class StreamedRows:
    """The training examples of all parts, one after the other. It may be sent to other processes of the machine, which
    read the same files."""

    def __init__(self, files: tuple[RowFile, ...], dtype: torch.dtype, device: torch.device) -> None:
        self.files, self.dtype, self.device = files, dtype, device
        self.window = window_rows(files[0].row_bytes)
        """Rows of a window."""
        self._first = list(accumulate((file.shape[0] for file in files), initial=0))
        self._kept: OrderedDict[tuple[int, int], Tensor] = OrderedDict()
        """Windows by part and number, the one used last at the end."""
        self._used: set[tuple[int, int]] = set()
        """Windows that the latest batches came from."""

    def __reduce__(self) -> tuple[object, ...]:
        return StreamedRows, (self.files, self.dtype, self.device)

    def to(self, device: torch.device) -> StreamedRows:
        """The same for another device."""
        return StreamedRows(self.files, self.dtype, device)

    def __len__(self) -> int:
        return self._first[-1]

    def head(self, count: int) -> Tensor:
        """The first examples."""
        return self._on_device(torch.from_numpy(self.files[0].read(0, min(count, self.files[0].shape[0]))))

    def steps(self, lanes: int, batch: int) -> int:
        """Steps whose batches are gathered at once."""
        return max(1, READ // (lanes * batch * self.files[0].row_bytes))

    def batches(self, lanes: Sequence[Tensor]) -> Tensor:
        """[S, K, B, ...] the examples of each lane's rows, [S, B]."""
        before = set(self._kept)
        self._used.clear()
        steps, batch = lanes[0].shape
        shape = self.files[0].shape[1:]
        found = torch.empty(steps, len(lanes), batch, *shape)
        for place, rows_SB in enumerate(lanes):
            if len(lanes) == 1:
                self._select(rows_SB.flatten(), found.view(-1, *shape))
            else:
                mine = torch.empty(steps * batch, *shape)
                self._select(rows_SB.flatten(), mine)
                found[:, place] = mine.view(steps, batch, *shape)
        for key in before - self._used:
            self._kept.pop(key, None)
        return self._on_device(found)

    def _select(self, rows_N: Tensor, out: Tensor) -> None:
        """Copies the examples of these rows, all of one part."""
        part = max(place for place, first in enumerate(self._first[:-1]) if first <= int(rows_N[0]))
        local_N = rows_N - self._first[part]
        numbers, counts = torch.unique_consecutive(local_N // self.window, return_counts=True)
        begin = 0
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            piece = slice(begin, begin + count)
            rows = local_N[piece] - number * self.window
            torch.index_select(self._window(part, number), 0, rows, out=out[piece])
            begin += count

    def _window(self, part: int, number: int) -> Tensor:
        key = part, number
        self._used.add(key)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        file = self.files[part]
        most = max(1, KEPT // (self.window * file.row_bytes))
        while len(self._kept) >= most:
            self._kept.popitem(last=False)
        begin = number * self.window
        self._kept[key] = torch.from_numpy(file.read(begin, min(begin + self.window, file.shape[0])))
        return self._kept[key]

    def _on_device(self, rows: Tensor) -> Tensor:
        return rows.to(self.device, self.dtype)


class StreamedParts:
    """The validation examples of each part, padded with the last one to one size."""

    def __init__(self, files: tuple[RowFile, ...], size: int, dtype: torch.dtype, device: torch.device) -> None:
        self.files, self.size, self.dtype, self.device = files, size, dtype, device

    def to(self, device: torch.device) -> StreamedParts:
        """The same for another device."""
        return StreamedParts(self.files, self.size, self.dtype, device)

    def head(self, count: int) -> Tensor:
        """[1, V, ...] the first examples of the first part."""
        return self._read([0], 0, min(count, self.size))

    def portions(self, parts: Sequence[int]) -> Iterator[Tensor]:
        """[parts, V, ...] the examples of these parts, in portions of V."""
        most = max(1, READ // (len(parts) * EVALUATED * self.files[0].row_bytes)) * EVALUATED
        for begin in range(0, self.size, most):
            yield self._read(parts, begin, min(begin + most, self.size))

    def _read(self, parts: Sequence[int], begin: int, stop: int) -> Tensor:
        pieces = []
        for part in parts:
            last = self.files[part].shape[0]
            rows = torch.from_numpy(self.files[part].read(min(begin, last - 1), min(stop, last)))
            lacking = stop - begin - len(rows)
            pieces.append(torch.cat([rows, rows[-1:].expand(lacking, *rows.shape[1:])]) if lacking else rows)
        return torch.stack(pieces).to(self.device, self.dtype)
