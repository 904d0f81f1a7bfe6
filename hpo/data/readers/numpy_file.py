"""Files of NumPy: `.npy`, one array, and `.npz`, the arrays X, y and lengths.

The targets are the array y of an `.npz`; else `data.target` names them: an `.npy` file beside this one, or `last`, the
last column of an array of two dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.arrays import Arrays, arrays_of
from hpo.data.readers.files import damaged, refuse_absent
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

LAST = "last"


def read_npy(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Arrays:
    """The examples in a file that holds one array."""
    return with_target(Arrays(name=path.name, place=str(path), x=_array(path)), path.parent, data.target)


def mapped_npy(path: Path) -> np.ndarray[Any, Any]:
    """The array in such a file, memory-mapped, to be read only."""
    refuse_absent(path)
    found = _read(path, partial(np.load, path, mmap_mode="r", allow_pickle=False), whole=False)
    if not isinstance(found, np.memmap):
        raise DataError(f"{path}: it holds several arrays. Give it the ending .npz, and leave data.stream out.")
    return _whole(found, path)


def read_npz(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Arrays:
    """The examples in a file that holds the arrays X, y and lengths."""
    found = _load(path)
    if isinstance(found, np.ndarray):
        raise DataError(f"{path}: it holds one array without a name. Give it the ending .npy.")
    with found:
        arrays = {name: _read(path, partial(found.__getitem__, name)) for name in found}
    return with_target(arrays_of(arrays, path.name, str(path)), path.parent, data.target)


def with_target(arrays: Arrays, folder: Path, target: str | None) -> Arrays:
    """The arrays with the targets that `data.target` names."""
    if target is None or (arrays.y is not None and target.lower() == "y"):
        return arrays
    if target.lower().endswith(".npy"):
        y = _array(folder / target)
        return replace(arrays, y=y, y_name=Path(target).stem)
    if target == LAST and arrays.y is None and arrays.x.ndim == 2 and arrays.x.shape[1] > 1:
        return replace(arrays, x=arrays.x[:, :-1], y=arrays.x[:, -1], y_name=LAST)
    has = f"its own targets, {arrays.y_name}" if arrays.y is not None else f"an array of the shape {arrays.x.shape}"
    raise DataError(
        f'data.target: "{target}" is not in {arrays.place}, which has {has}. Name a file beside it, e.g. "labels.npy"; '
        'or "last", the last column of an array of two dimensions; or leave data.target out where the file has a y.'
    )


def _array(path: Path) -> np.ndarray[Any, Any]:
    found = _load(path)
    if not isinstance(found, np.ndarray):
        raise DataError(f"{path}: it holds several arrays. Give it the ending .npz.")
    return _whole(found, path)


def _load(path: Path) -> Any:
    refuse_absent(path)
    return _read(path, partial(np.load, path, allow_pickle=False), whole=False)


def _read(path: Path, load: Callable[[], Any], *, whole: bool = True) -> Any:
    try:
        found = load()
    except Exception as error:  # a damaged file can lead to any
        if "allow_pickle" in str(error):
            raise DataError(
                f"{path}: it holds Python objects (dtype object), which are not loaded because they can run code. Save "
                "arrays of numbers or texts; sequences of unequal length as X, one after the other, with their lengths."
            ) from None
        raise damaged(path, "NumPy", error) from None
    return _whole(found, path) if whole else found


def _whole(array: np.ndarray[Any, Any], path: Path) -> np.ndarray[Any, Any]:
    if array.ndim == 0:
        raise DataError(f"{path}: it holds a single value, and must hold an array with an example in each place.")
    return array
