"""A `Dataset` as arrays of plain numbers and back, whatever fields it has. No pickle: what is loaded runs no code.

The array `record` is JSON in UTF-8. In it, `{"array": NAME, ...}` stands for an array of numbers, `{"texts": NAME,
...}` for one of texts, whose array has the index of each text, and `{"tuple"|"dict"|"record": ...}` for containers.
Arrays are stored in the smallest type that holds their numbers exactly, and come back bit by bit with the same order in
memory, on which the rounding of sums depends.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import Dataset

RECORD = "record"
SMALLER = {"f": ("u1", "i2", "i4", "f4"), "i": ("u1", "i2", "i4"), "u": ("u1", "u2", "u4")}
"""Types that are tried for numbers of each kind, smallest first."""


def to_arrays(dataset: Dataset, about: str) -> dict[str, NDArray[Any]]:
    """The data set as arrays by name; `about`: a text to find again in `from_arrays`. Raises `TypeError` for a field
    that holds anything but records, containers, numbers, texts and arrays of these."""
    arrays: dict[str, NDArray[Any]] = {}
    text = json.dumps({"about": about, "dataset": _plain(dataset, arrays)})
    return {RECORD: np.frombuffer(text.encode(), np.uint8), **arrays}


def from_arrays(arrays: Mapping[str, NDArray[Any]], about: str) -> Dataset:
    """The data set. Raises any error where the arrays are not of `to_arrays` with the same text."""
    record = json.loads(arrays[RECORD].tobytes())
    dataset = _restored(record["dataset"], arrays) if record["about"] == about else None
    if not isinstance(dataset, Dataset):
        raise ValueError("it is another record")
    return dataset


def _plain(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """The value as JSON; arrays in it are put aside under names."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, tuple):
        return {"tuple": [_plain(item, arrays) for item in value]}
    if isinstance(value, Mapping):
        return {"dict": [[_plain(key, arrays), _plain(item, arrays)] for key, item in value.items()]}
    if type(value) in _records().values():
        items = {field.name: _plain(getattr(value, field.name), arrays) for field in fields(value)}
        return {"record": type(value).__name__, "fields": items}
    if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
        return _put(value, arrays)
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        columns_KN = value.T if value.ndim == 2 else value.reshape(1, -1)
        coded = [_coded(column.tolist()) for column in columns_KN]
        code = np.array([codes for codes, _ in coded], np.int64).reshape(columns_KN.shape)
        return _put(code, arrays) | {"texts": [words for _, words in coded], "shape": value.shape}
    raise TypeError(f"a data set's field holds {type(value).__name__}, which cannot be kept")


def _put(array: NDArray[Any], arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    name = f"array{len(arrays)}"
    axes = sorted(range(array.ndim), key=lambda axis: -abs(array.strides[axis]))
    arrays[name] = _smallest(np.ascontiguousarray(array.transpose(axes)))
    return {"array": name, "type": array.dtype.str, "axes": axes}


def _smallest(array: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in a smaller type, if there is one."""
    for kind in SMALLER.get(array.dtype.kind, ()):
        if np.dtype(kind).itemsize < array.dtype.itemsize:
            with np.errstate(all="ignore"):
                small = array.astype(kind)
            if np.array_equal(small.astype(array.dtype).view(np.uint8), array.view(np.uint8)):
                return small
    return array


def _coded(cells: list[Any]) -> tuple[list[int], list[str | None]]:
    """The index of each text, and the texts."""
    index: dict[str | None, int] = {}
    codes = [index.setdefault(cell, len(index)) for cell in cells]
    if odd := [cell for cell in index if not (cell is None or isinstance(cell, str))]:
        raise TypeError(f"a data set's field holds a cell {odd[0]!r}, which cannot be kept")
    return codes, list(index)


def _restored(value: Any, arrays: Mapping[str, NDArray[Any]]) -> Any:
    match value:
        case {"tuple": items}:
            return tuple(_restored(item, arrays) for item in items)
        case {"dict": items}:
            return {_restored(key, arrays): _restored(item, arrays) for key, item in items}
        case {"record": name, "fields": items}:
            return _records()[name](**{key: _restored(item, arrays) for key, item in items.items()})
        case {"array": name, "type": kind, "axes": axes}:
            array = arrays[name].astype(kind, copy=False).transpose(np.argsort(axes))
            return _texts(array, value["texts"], value["shape"]) if "texts" in value else array
    return value


def _texts(code: NDArray[np.int64], texts: list[list[str | None]], shape: list[int]) -> NDArray[np.object_]:
    columns = np.empty(code.shape[::-1], object)
    for place, words in enumerate(texts):
        columns[:, place] = np.array(words, object)[code[place]]
    return columns.reshape(shape)


@cache
def _records() -> dict[str, type]:
    """The classes of records that a data set consists of, by name."""
    found: dict[str, type] = {}
    waiting: list[Any] = [Dataset]
    while waiting:
        kind = waiting.pop()
        waiting += get_args(kind)
        if isinstance(kind, type) and is_dataclass(kind) and kind.__name__ not in found:
            found[kind.__name__] = kind
            waiting += get_type_hints(kind).values()
    return found
