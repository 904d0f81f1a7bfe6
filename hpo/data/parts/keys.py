"""What ties examples together or orders them: the columns, or the arrays, that `data.group` and `data.time` name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import Arrays
from hpo.data.columns.kinds import read_column
from hpo.data.dataset import Dataset, TextArray, suggestion
from hpo.data.notes import Note
from hpo.data.table import Table, rows, texts
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import DataTable


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Keys:
    """The group and the time of each example, where the study names them."""

    group_N: TextArray | None = None
    time_N: NDArray[np.float64] | None = None

    def of(self, dataset: Dataset) -> Dataset:
        """The data set with them."""
        return replace(dataset, group_N=self.group_N, time_N=self.time_N)


def keys_off(found: Table | Arrays, data: DataTable) -> tuple[Table | Arrays, Keys]:
    """The data without their groups, and the groups and times. Raises `DataError` where there are none of the names
    that the study gives, or an example has none."""
    if isinstance(found, Arrays):
        return _of_arrays(found, data)
    frame = found.frame
    group_N = time_N = None
    if data.time is not None:
        _refuse_absent("time", data.time, frame.columns, found.place)
        kinds = {name: kind for name, kind in data.columns.items() if name != data.time or kind in ("numeric", "date")}
        column = read_column(frame[data.time], data.model_copy(update={"columns": kinds}), found.place)
        if column.values_N is None:
            raise DataError(
                f'{found.place}: column "{data.time}", data.time, holds {frame[data.time].iloc[0]!r} in row 1, and '
                "must hold numbers, or dates like 2026-01-31."
            )
        time_N = column.values_N
        _refuse_missing("time", data.time, np.isnan(time_N), found.place)
    if data.group is not None:
        _refuse_absent("group", data.group, frame.columns, found.place)
        group_N = texts(frame[data.group])
        _refuse_missing("group", data.group, np.array([cell is None for cell in group_N]), found.place)
        found = replace(found, frame=frame.drop(columns=data.group))
    return found, Keys(group_N=group_N, time_N=time_N)


def _of_arrays(arrays: Arrays, data: DataTable) -> tuple[Arrays, Keys]:
    found: dict[str, NDArray[Any] | None] = {"groups": arrays.groups, "time": arrays.time}
    given = {name: array for name, array in found.items() if array is not None}
    for key, name in (("group", "groups"), ("time", "time")):
        wanted = getattr(data, key)
        if wanted is not None and wanted.lower() not in {name} & given.keys():
            raise DataError(
                f'data.{key}: {arrays.place} has no "{wanted}". Save it beside X as an array named {name}, with an '
                f'entry for each example, and set data.{key} = "{name}".'
            )
    for name, array in given.items():
        if array.shape != (len(arrays.x),):
            raise DataError(
                f"{arrays.place}: {name} has the shape {array.shape}, and X has {len(arrays.x)} examples. Each example "
                f"needs one entry of {name}."
            )
    group_N = time_N = None
    if data.group is not None and arrays.groups is not None:
        import pandas as pd

        group_N = texts(pd.Series(arrays.groups.tolist(), dtype=object, name="groups"))
        _refuse_missing("group", "groups", np.array([cell is None for cell in group_N]), arrays.place)
    if data.time is not None and arrays.time is not None:
        time = arrays.time
        if time.dtype.kind == "M":
            time = np.where(np.isnat(time), np.nan, time.astype("datetime64[us]").astype(np.float64))
        if time.dtype.kind not in "iuf":
            raise DataError(f"{arrays.place}: time holds {time.dtype}, and must hold numbers or dates.")
        time_N = time.astype(np.float64)
        _refuse_missing("time", "time", np.isnan(time_N), arrays.place)
    notes = [
        Note(kind="suspicious", text=f'The array {name} is not used; data.{key} = "{name}" would {what}')
        for key, name, what in (
            ("group", "groups", "keep each group in one part"),
            ("time", "time", "validate and test on what came later"),
        )
        if name in given and getattr(data, key) is None
    ]
    return replace(arrays, notes=(*arrays.notes, *notes)), Keys(group_N=group_N, time_N=time_N)


def _refuse_absent(key: str, wanted: str, names: Any, place: str) -> None:
    if wanted not in names:
        raise DataError(
            f'data.{key}: {place} has no column "{wanted}".{suggestion(wanted, names)} Columns: {listed(names)}.'
        )


def _refuse_missing(key: str, name: str, missing: NDArray[np.bool_], place: str) -> None:
    if missing.any():
        raise DataError(
            f'{place}: "{name}", data.{key}, is missing in {rows(np.flatnonzero(missing))}. Fill in these cells or '
            "remove the rows."
        )
