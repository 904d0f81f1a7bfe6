"""Idx files, the format of MNIST and its kin: `NAME-images-idx3-ubyte` and, beside it, `NAME-labels-idx1-ubyte`. Also
packed by gzip.

A file begins with two zero bytes, the type of its numbers, and how many dimensions they have; then the sizes of these,
and the numbers, all with the highest byte first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import Arrays
from hpo.data.readers.files import damaged, read_bytes
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
"""NumPy's names for the types, by the third byte."""
IMAGES, LABELS = r"images([-.])idx\d-", r"labels\1idx1-"
"""Of the names of two files that belong together."""
TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
"""Files of images in a folder with a part for training and one for testing."""


def read_idx(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Arrays:
    """The examples in a file, and the labels in the file beside it: the one that `data.target` names, else the one that
    belongs to it by its name. Raises `DataError` where one of them is absent or damaged."""
    path = packed_or_not(path)
    x = _array(path)
    named = data.target or re.sub(IMAGES, LABELS, path.name)
    if named == path.name:
        raise DataError(
            f"data.target: missing. {path} holds no targets: name the file beside it that does, e.g. "
            '"labels-idx1-ubyte".'
        )
    y = _array(packed_or_not(path.parent / named))
    return Arrays(name=path.name, place=str(path), x=x.astype(x.dtype.newbyteorder("=")), y=y, y_name="label")


def parts_in(folder: Path) -> tuple[Path, Path] | None:
    """The files to train and to test on in a folder that has both; None for another folder."""
    train, test = (packed_or_not(folder / name) for name in (TRAIN, TEST))
    return (train, test) if os.path.isfile(train) and os.path.isfile(test) else None


def packed_or_not(path: Path) -> Path:
    """The file; where there is none, the file packed, or unpacked, if there is one."""
    other = path.with_suffix("") if path.suffix == ".gz" else path.with_name(f"{path.name}.gz")
    return other if os.path.isfile(other) and not os.path.exists(path) else path


def _array(path: Path) -> NDArray[Any]:
    raw = read_bytes(path)
    dimensions = raw[3] if len(raw) > 3 else 0
    begin = 4 + 4 * dimensions
    if raw[:2] != b"\0\0" or len(raw) < begin or not dimensions or raw[2] not in TYPES:
        raise damaged(path, "idx", ValueError("it does not begin as such a file"))
    shape = np.frombuffer(raw, ">u4", dimensions, 4).tolist()
    dtype = np.dtype(TYPES[raw[2]])
    if len(raw) - begin != prod(shape) * dtype.itemsize:
        sizes = " x ".join(map(str, shape))
        raise damaged(path, "idx", ValueError(f"{len(raw) - begin:,} bytes are no {sizes} numbers of {dtype.itemsize}"))
    return np.frombuffer(raw, dtype, offset=begin).reshape(shape)
