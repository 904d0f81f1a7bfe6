"""A file of rows of float32, one after the other, in the order of this machine: written once, read in pieces."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo import disk
from hpo.errors import MachineError

UNUSED = 7 * 24 * 3600.0
"""Seconds after which a file that was not used is deleted, when another one is written."""
SPARE = 2**28
"""Bytes of the disk that stay free."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RowFile:
    """Where the rows are; it may be sent to other processes of the machine."""

    path: Path
    shape: tuple[int, ...]
    """[N, ...]"""

    @property
    def row_bytes(self) -> int:
        return 4 * prod(self.shape[1:])

    @property
    def whole(self) -> bool:
        """Whether the file is there, in its full size."""
        return self.path.is_file() and self.path.stat().st_size == self.row_bytes * self.shape[0]

    def read(self, begin: int, stop: int) -> NDArray[np.float32]:
        """The rows from `begin` to before `stop`. Raises `MachineError` where the file is gone."""
        try:
            count = (stop - begin) * (self.row_bytes // 4)
            found = np.fromfile(self.path, np.float32, count, offset=begin * self.row_bytes)
            return found.reshape(stop - begin, *self.shape[1:])
        except (OSError, ValueError) as error:
            raise MachineError(
                f"{self.path}: the rows of streamed data cannot be read there ({error}). They are on the disk of the "
                "machine that prepared them, so run all workers on this machine; the same command writes them again."
            ) from None

    def mapped(self) -> np.memmap[tuple[int, ...], np.dtype[np.float32]]:
        """All rows, memory-mapped, to be read only. The file is not deleted while this process has them."""
        return mapped(self.path, np.dtype(np.float32), self.shape)


def file_of(folder: Path, shape: tuple[int, ...], *about: str | bytes) -> RowFile:
    """The file of the rows that these texts tell apart from any others."""
    digest = hashlib.sha256()
    for text in (*about, repr(shape)):
        part = text.encode() if isinstance(text, str) else text
        digest.update(len(part).to_bytes(8, "little") + part)
    return RowFile(path=folder / f"{digest.hexdigest()}.rows", shape=shape)


def mapped(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> np.memmap[Any, Any]:
    """An array in a file of such a folder, memory-mapped, to be read only. The file is locked for as long as the array
    is mapped, so that it is not deleted, however long that takes."""
    with path.open("rb") as file:
        disk.lock(file.fileno(), shared=True)  # held by the mapping, which has a copy of the descriptor
        with suppress(OSError):
            os.utime(path)
        return np.memmap(file, dtype, "r", shape=shape)


def make_room(folder: Path, size: int) -> None:
    """Deletes files that no process uses and that were not used for long. Raises `MachineError` where the disk has no
    room for `size` bytes."""
    disk.make_folder(folder)
    for path in folder.iterdir():
        with suppress(OSError):
            if path.suffix == ".tmp":
                disk.delete_leftovers(path.with_name(path.name[1:].rsplit(".", 2)[0]))
            elif time.time() - path.stat().st_mtime > UNUSED:
                disk.delete_unused(path)
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        raise MachineError(
            f"{folder}: streamed data need {size / 2**30:.3g} GiB of disk there, and {free / 2**30:.3g} GiB are free. "
            "Make room, delete the folder's files, or choose a folder on another disk with --home (or HPO_HOME)."
        )


def folder_in(home: Path | None) -> Path:
    """The folder for such files below the home folder; without one, a folder that is deleted when the process ends."""
    return Path(_temporary().name) if home is None else home / "cache" / "rows"


@cache
def _temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="hpo-rows-")


def runs(sorted_N: NDArray[np.int64]) -> Iterator[tuple[int, int, int]]:
    """(value, begin, stop) of each run of equal values."""
    ends = np.flatnonzero(np.diff(sorted_N)) + 1
    for begin, stop in zip([0, *ends.tolist()], [*ends.tolist(), len(sorted_N)], strict=True):
        yield int(sorted_N[begin]), begin, stop
