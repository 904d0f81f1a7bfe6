"""Memory-mapped arrays, read in portions of bounded size. Pages that were read are given back, so that they do not add
up in the memory of the process; the system may keep them as long as it has memory to spare."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

PORTION = 2**20
"""Numbers that are read at once: 8 MiB in double precision."""


def release(array: NDArray[Any]) -> None:
    """Gives back the pages of an array that is memory-mapped, or a view of one. Others stay as they are."""
    pages = getattr(array, "_mmap", None)
    if isinstance(pages, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def in_portions(array: NDArray[Any], idx: NDArray[np.int64]) -> Iterator[NDArray[Any]]:
    """The rows `idx`, in this order, as copies of bounded size."""
    for part in portions(len(idx), array.shape[1:]):
        yield array[idx[part]]
        release(array)


def portions(count: int, shape: tuple[int, ...]) -> Iterator[slice]:
    """Slices of `count` rows of this shape, of bounded size each."""
    rows = max(1, PORTION // max(1, prod(shape)))
    for begin in range(0, count, rows):
        yield slice(begin, min(begin + rows, count))


def spread_out(idx: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """`count` of the rows `idx` at equal distances, or all where they are no more."""
    return idx if len(idx) <= count else idx[np.arange(count) * len(idx) // count]
