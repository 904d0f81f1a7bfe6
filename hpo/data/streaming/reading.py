"""Opens files whose numbers stay on disk: arrays in `.npy`, and tables in Parquet, which are copied into such an array
once. Targets, groups, times and parts are read into memory."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import Arrays, arranged, names_of, refuse_unequal
from hpo.data.columns.cells import LARGEST
from hpo.data.columns.target import Target, read_target
from hpo.data.dataset import DataKind, Dataset, OnDisk, no_categories
from hpo.data.from_arrays import refuse_no_target, target_of
from hpo.data.parts.given import split_off
from hpo.data.parts.keys import Keys, keys_off
from hpo.data.readers.numpy_file import mapped_npy, with_target
from hpo.data.streaming import parquet
from hpo.data.streaming.mapped import portions, release
from hpo.data.streaming.row_file import folder_in
from hpo.data.table import Table
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

PARQUET = (".parquet", ".pq", ".parquet.brotli")
KINDS: dict[int, DataKind] = {2: "tabular", 3: "sequence", 4: "image"}
"""By the dimensions of all examples."""


def streamed(data: DataTable, base: Path, home: Path | None) -> Dataset:
    """The data set in the file that `data.dataset` names, relative to `base`. Its rows, as models take them, will lie
    below `home`. Raises `DataError` where they cannot be streamed."""
    path = base / os.path.expanduser(data.dataset)
    name = path.name.lower()
    if not name.endswith((".npy", *PARQUET)) or path.is_dir():
        raise DataError(
            f"data.stream: {data.dataset} is no .npy or Parquet file, and only these are streamed. Write one, e.g. "
            "with numpy.save or DataFrame.to_parquet, or leave data.stream out."
        )
    if isinstance(data.test, str):
        raise DataError(
            "data.test: streamed data are in one file. Give a share, e.g. test = 0.2; in a Parquet file, data.split "
            "may name a column that says which rows are the test part."
        )
    folder = folder_in(home)
    found = _array(path, data) if name.endswith(".npy") else _table(path, data, folder)
    x, goal = found.x, found.goal
    return found.keys.of(
        Dataset(
            name=path.name,
            kind=KINDS[x.ndim],
            task=goal.task,
            numeric=x,
            numeric_names=found.names,
            categorical_NK=no_categories(len(x)),
            categorical_names=(),
            target_N=goal.values_N,
            target_name=goal.name,
            class_names=goal.class_names,
            part_N=found.part_N,
            task_reason=goal.reason,
            notes=goal.notes,
            on_disk=OnDisk(folder=folder, content=_content(x, str(path))),
        )
    )


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Found:
    """What is in a file."""

    x: NDArray[Any]
    """[N, ...], memory-mapped."""
    names: tuple[str, ...]
    """Of the numbers of an example."""
    goal: Target
    keys: Keys
    part_N: NDArray[np.int64] | None = None


def _array(path: Path, data: DataTable) -> _Found:
    if data.split is not None or data.columns:
        key = "split" if data.split is not None else "columns"
        raise DataError(f"data.{key}: {path} is no table, so it has no columns. Leave it out, or write a Parquet file.")
    whole = Arrays(name=path.name, place=str(path), x=mapped_npy(path))
    arrays = with_target(whole, path.parent, data.target)
    refuse_no_target(arrays)
    assert arrays.y is not None
    if arrays.y.base is not None:  # the last column
        arrays = replace(
            arrays, y=np.concatenate([_copy(arrays.y, part) for part in portions(len(whole.x), whole.x.shape[1:])])
        )
    x = arranged(arrays, data.shape)
    refuse_unequal(arrays, len(x))
    _, keys = keys_off(arrays, data)
    return _Found(x=x, names=names_of(x.shape[1:]), goal=target_of(arrays, data), keys=keys)


def _copy(array: NDArray[Any], part: slice) -> NDArray[Any]:
    found = np.array(array[part])
    release(array)
    return found


def _table(path: Path, data: DataTable, folder: Path) -> _Found:
    source = parquet.opened(path, data)
    named = [name for name in (data.target, data.split, data.group, data.time) if name is not None]
    table = Table(name=path.name, place=str(path), frame=source.frame(list(dict.fromkeys(named))))
    goal = read_target(table, data)
    rest, keys = keys_off(table, data)
    assert isinstance(rest, Table)
    _, part_N = split_off(rest, data)
    x = source.numbers(folder)
    arrays = Arrays(name=path.name, place=str(path), x=x, columns=source.names)
    return _Found(x=arranged(arrays, data.shape), names=source.names, goal=goal, keys=keys, part_N=part_N)


def _content(x: NDArray[Any], place: str) -> str:
    """SHA-256 of the numbers. Raises `DataError` where one is infinite or too large, or, in images and sequences,
    missing."""
    digest = hashlib.sha256(f"{x.dtype.str} {x.shape}".encode())
    for part in portions(len(x), x.shape[1:]):
        rows = np.ascontiguousarray(x[part])
        digest.update(rows.view(np.uint8).data)
        odd = ~(np.abs(rows) <= LARGEST) if rows.dtype.kind == "f" else np.zeros(1, bool)
        if rows.ndim == 2 and rows.dtype.kind == "f":
            odd &= ~np.isnan(rows)
        if odd.any():
            row = int(np.nonzero(odd)[0][0])
            value = rows[row][odd[row]][0]
            said = "is missing a number" if np.isnan(value) else f"holds {value:g}"
            raise DataError(
                f"{place}: example {part.start + row + 1} {said}. "
                f"Numbers must be within \u00b1{LARGEST:g}, and in images and sequences none may be missing: fill it "
                "in, or leave the example out."
            )
        release(x)
    return digest.hexdigest()
