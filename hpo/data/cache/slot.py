"""The file in which a data set is kept, `cache/data/KEY.npz` below the home folder.

It is written completely or not at all. One that is damaged counts as absent, and is written again. Where it cannot be
written, e.g. in a folder that may only be read, nothing is kept. Nothing here raises.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hpo import disk
from hpo.data.cache.form import from_arrays, to_arrays
from hpo.data.cache.key import key_of
from hpo.data.dataset import Dataset
from hpo.studyfile.records import DataTable

log = logging.getLogger(__name__)

LIMIT = 1 << 30
"""Bytes of all files together. Those that were not used for longest are deleted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """The place of one data set in the cache."""

    data: DataTable
    base: Path
    home: Path
    key: str
    """Of the files' content before they were read."""

    @property
    def path(self) -> Path:
        """The file, which need not exist."""
        return self.home / "cache" / "data" / f"{self.key}.npz"

    def load(self) -> Dataset | None:
        """The data set that is kept; None where none is, or it cannot be used."""
        try:
            with np.load(self.path, allow_pickle=False) as found:
                dataset = from_arrays(found, self.key)
        except FileNotFoundError:
            return None
        except Exception as error:  # a damaged file can lead to any
            log.debug("%s cannot be used: %s", self.path, error)
            return None
        with suppress(OSError):
            os.utime(self.path)
        return dataset

    def keep(self, dataset: Dataset) -> None:
        """Writes the data set that was read, unless there is no home folder, or the files that were read have changed
        since."""
        try:
            if not self.home.is_dir() or key_of(self.data, self.base) != self.key:
                return
            arrays = to_arrays(dataset, self.key)
            if sum(array.nbytes for array in arrays.values()) > LIMIT // 2:
                return
            with disk.replacing(self.path) as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
            _trim(self.path)
        except (OSError, TypeError) as error:
            log.debug("%s is not written: %s", self.path, error)


def slot_of(data: DataTable, base: Path, home: Path | None) -> Slot | None:
    """The place in the cache of the data set that `data` names; None for one that is not kept."""
    key = None if home is None else key_of(data, base)
    return None if home is None or key is None else Slot(data=data, base=base, home=home, key=key)


def _trim(latest: Path) -> None:
    """Deletes files other than the latest, those first that were not used for longest, until the rest is no larger
    than `LIMIT`."""
    found: list[tuple[float, int, Path]] = []
    for path in latest.parent.iterdir():
        with suppress(OSError):
            if path.suffix == ".tmp":
                disk.delete_leftovers(path.with_name(path.name[1:].rsplit(".", 2)[0]))
            about = path.stat()
            found.append((about.st_mtime, about.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total > LIMIT and path != latest:
            with suppress(OSError):
                path.unlink()
            total -= size
