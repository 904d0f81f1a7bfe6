"""Examples as arrays, as a reader gives them, and the one form in which they are used. No target here.

| form | examples |
| --- | --- |
| [N, F] | rows of numbers |
| [N, C, H, W] | images |
| [N, T, C] | sequences, padded with 0 to the longest; steps that are missing at the end are none |
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.columns.cells import LARGEST
from hpo.data.notes import Note
from hpo.errors import DataError
from hpo.printable import listed

CHANNELS = (1, 3, 4)
"""Numbers of channels by which they are found in the last place: grey, RGB, RGB with transparency."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Arrays:
    """Examples and their targets."""

    name: str
    """Of the file, e.g. `digits.npz`; what the data set is called."""
    place: str
    """Where they are, for messages: a path, or a function."""
    x: NDArray[Any]
    """[N, ...]; with lengths also [sum of lengths, C], the sequences one after the other."""
    y: NDArray[Any] | None = None
    """[N]"""
    y_name: str = "y"
    """What the target is called."""
    lengths_N: NDArray[np.int64] | None = None
    """Steps of each sequence."""
    groups: NDArray[Any] | None = None
    """[N] Examples of one value are in one part, where the study asks for it."""
    time: NDArray[Any] | None = None
    """[N] What parts follow, where the study asks for it."""
    class_names: tuple[str, ...] | None = None
    """Of the whole numbers in y, where they are not its own texts."""
    columns: tuple[str, ...] | None = None
    """Names of the numbers of an example, where it was a row of a table."""
    notes: tuple[Note, ...] = ()
    """What the reader found out."""


def arrays_of(found: Mapping[str, Any], name: str, place: str) -> Arrays:
    """Arrays by name: X, y, lengths, groups and time, in capitals or not. Raises `DataError` for others, or without
    X."""
    known = {key.lower(): key for key in found}
    if "x" not in known or known.keys() - {"x", "y", "lengths", "groups", "time"} or len(known) < len(found):
        raise DataError(
            f"{place}: it has the arrays {listed(found) or '(none)'}, and is read with X (the examples), y (their "
            "targets), lengths (of sequences), groups and time (to divide them by). Save it with these names, e.g. "
            "numpy.savez(FILE, X=..., y=...)."
        )
    given = {key: np.asarray(found[name]) for key, name in known.items()}
    return Arrays(
        name=name,
        place=place,
        x=given["x"],
        y=given.get("y"),
        lengths_N=given.get("lengths"),
        groups=given.get("groups"),
        time=given.get("time"),
    )


def formed(arrays: Arrays, shape: tuple[int, ...] | None) -> Arrays:
    """The examples in one of the forms above; `shape`: of one example, as `data.shape` declares it. Raises `DataError`
    where the array has another shape, or numbers are missing in images and sequences."""
    x = arrays.x
    _refuse_no_numbers(arrays)
    x = x.astype(np.result_type(x.dtype, np.float32), copy=False)
    lengths_N = arrays.lengths_N
    if lengths_N is not None:
        x = _padded(replace(arrays, x=x), _checked(lengths_N, arrays.place))
        if shape and len(shape) == 2 and x.shape[2] == shape[1] and x.shape[1] < shape[0]:
            x = np.pad(x, ((0, 0), (0, shape[0] - x.shape[1]), (0, 0)))
        if shape and x.shape[1:] != shape:
            raise _unfit(arrays, x, shape)
        lengths_N = None if (lengths_N == x.shape[1]).all() else lengths_N.astype(np.int64)
    else:
        x = arranged(replace(arrays, x=x), shape)
    refuse_unequal(arrays, len(x))
    if x.ndim == 3 and lengths_N is None and shape:
        x, lengths_N = _ended(x)
    if x.ndim > 2:
        _refuse_odd(arrays, x)
    if x.ndim == 4:
        x = x.astype(np.float32, copy=False)
    return replace(arrays, x=np.ascontiguousarray(x), lengths_N=lengths_N)


def arranged(arrays: Arrays, shape: tuple[int, ...] | None) -> NDArray[Any]:
    """The examples in one of the forms above, as a view of their array where that can be. Errors as of `formed`."""
    _refuse_no_numbers(arrays)
    return _shaped(arrays, arrays.x, shape) if shape else _found(arrays, arrays.x)


def _refuse_no_numbers(arrays: Arrays) -> None:
    if arrays.x.dtype.kind not in "biuf":
        raise DataError(
            f"{arrays.place}: X holds {arrays.x.dtype}, and must hold numbers. Texts belong into a table, e.g. a CSV "
            "file."
        )


def refuse_unequal(arrays: Arrays, examples: int) -> None:
    """Raise `DataError` where there is no example, or not one target for each."""
    if not examples:
        raise DataError(f"{arrays.place}: X has the shape {arrays.x.shape}, so there is no example in it.")
    if arrays.y is not None and (arrays.y.ndim == 0 or len(arrays.y) != examples):
        count = len(arrays.y) if arrays.y.ndim else 1
        raise DataError(
            f"{arrays.place}: X has {examples} examples and {arrays.y_name} has {count} targets. Each example needs "
            "one target, in the same order."
        )


def names_of(shape: tuple[int, ...]) -> tuple[str, ...]:
    """Names of the numbers of an example in row-major order: `x3`, `pixel_0_1`, `pixel_channel_0_1`, `step_0_1`."""
    if len(shape) == 1:
        return tuple(f"x{number}" for number in range(shape[0]))
    word, sizes = ("step", shape) if len(shape) == 2 else ("pixel", shape[1:] if shape[0] == 1 else shape)
    return tuple("_".join((word, *map(str, place))) for place in np.ndindex(*sizes))


def lengths_of(steps: NDArray[Any]) -> NDArray[np.int64]:
    """[N] steps up to the last that has a number, at least 1, of sequences [N, T, C] with NaN behind their ends."""
    absent_NT = np.asarray(np.isnan(steps).all(axis=2))
    last_N = steps.shape[1] - np.argmin(absent_NT[:, ::-1], axis=1)
    return np.where(absent_NT.all(axis=1), 1, last_N)


def _ended(x: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64] | None]:
    """Sequences of a declared length that end before it, where the rest of their steps is missing: padded with 0, and
    the lengths; None if all are complete."""
    lengths_N = lengths_of(x)
    if (lengths_N == x.shape[1]).all():
        return x, None
    return np.where((np.arange(x.shape[1]) < lengths_N[:, None])[:, :, None], x, np.zeros((), x.dtype)), lengths_N


def _found(arrays: Arrays, x: NDArray[Any]) -> NDArray[Any]:
    """Without a declared shape: two dimensions are rows, three or four images."""
    if x.ndim == 3:
        return x[:, None]
    if x.ndim == 4:
        return np.moveaxis(x, 3, 1) if x.shape[3] in CHANNELS and x.shape[1] not in CHANNELS else x
    if x.ndim != 2:
        raise DataError(
            f"{arrays.place}: X has the shape {x.shape}. It must be [N, columns], or [N, height, width] or "
            "[N, channels, height, width] for images; for sequences give lengths or data.shape = [length, channels]."
        )
    return x


def _shaped(arrays: Arrays, x: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    found = x.shape[1:]
    if len(shape) == 3 and found == (*shape[1:], shape[0]) and found != shape:
        return np.moveaxis(x, 3, 1)
    if found == shape or (len(found) == 1 and found[0] == prod(shape)) or (*found, 1) == shape or (1, *found) == shape:
        return x.reshape(len(x), *shape)
    raise _unfit(arrays, x, shape)


def _unfit(arrays: Arrays, x: NDArray[Any], shape: tuple[int, ...]) -> DataError:
    of = " x ".join(map(str, x.shape[1:])) or "1"
    kind = f"{len(arrays.columns)} columns of numbers" if arrays.columns else f"the shape {of}"
    return DataError(
        f"data.shape: {list(shape)} has {prod(shape)} numbers, but an example of {arrays.place} has {kind}. "
        "Give [channels, height, width] of an image or [length, channels] of a sequence"
        + (", and declare other columns as ignored in [data.columns]." if arrays.columns else ".")
    )


def _checked(lengths_N: NDArray[Any], place: str) -> NDArray[np.int64]:
    if lengths_N.ndim != 1 or lengths_N.dtype.kind not in "iu" or not len(lengths_N) or lengths_N.min() < 1:
        raise DataError(
            f"{place}: lengths must be whole numbers from 1 on, one for each sequence; it holds {lengths_N.dtype} in "
            f"the shape {lengths_N.shape}"
            + (f", the least is {lengths_N.min()}." if lengths_N.dtype.kind in "iu" and lengths_N.size else ".")
        )
    return lengths_N.astype(np.int64)


def _padded(arrays: Arrays, lengths_N: NDArray[np.int64]) -> NDArray[Any]:
    """The sequences as [N, T, C], with 0 after the end of each."""
    x, steps, count = arrays.x, int(lengths_N.sum()), len(lengths_N)
    if x.ndim in (1, 2) and len(x) == steps:
        padded = np.zeros((count, int(lengths_N.max()), prod(x.shape[1:])), x.dtype)
        padded[np.arange(padded.shape[1]) < lengths_N[:, None]] = x.reshape(steps, -1)
        return padded
    if x.ndim in (2, 3) and len(x) == count and lengths_N.max() <= x.shape[1]:
        x = x.reshape(count, x.shape[1], -1)
        return np.where((np.arange(x.shape[1]) < lengths_N[:, None])[:, :, None], x, np.zeros((), x.dtype))
    raise DataError(
        f"{arrays.place}: X has the shape {x.shape}, and the {count} lengths have the sum {steps} and are at most "
        f"{lengths_N.max()}. X must be [{steps}, channels], the sequences one after the other, or [{count}, length, "
        "channels], padded at their ends."
    )


def _refuse_odd(arrays: Arrays, x: NDArray[Any]) -> None:
    """Raise `DataError` where a number of an image or a sequence is missing, infinite or too large."""
    odd = ~(np.abs(x) <= LARGEST)
    if odd.any():
        row, *rest = (int(place[0]) for place in np.nonzero(odd))
        axes = ("channel", "row", "column") if x.ndim == 4 else ("step", "channel")
        where = ", ".join(f"{axis} {place + 1}" for axis, place in zip(axes, rest, strict=True))
        value = x[(row, *rest)]
        raise DataError(
            f"{arrays.place}: example {row + 1} {'is missing a number' if np.isnan(value) else f'holds {value:g}'} at "
            f"{where}. Images and sequences need a number within ±{LARGEST:g} at every place: fill it in, or leave the "
            "example out."
        )
