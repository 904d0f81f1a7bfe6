"""Parts that the data give: a second file with the test part, or a column that says which row is of which part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import Arrays
from hpo.data.dataset import PARTS, Dataset, suggestion
from hpo.data.parts.in_time import Pair
from hpo.data.parts.strata import IndexArray
from hpo.data.table import Table, rows, texts
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import DataTable

TRAIN, VALIDATION, TEST = range(len(PARTS))
WORDS = {
    **dict.fromkeys(("train", "training", "fit"), TRAIN),
    **dict.fromkeys(("validation", "valid", "val", "dev"), VALIDATION),
    **dict.fromkeys(("test", "testing"), TEST),
}
"""What a column of parts may hold, in any case of letters."""


def split_off(table: Table, data: DataTable) -> tuple[Table, NDArray[np.int64] | None]:
    """The table without its column of parts, and the part of each row. Raises `DataError` where there is no such
    column, or it holds something else."""
    name, names = data.split, list(table.frame.columns)
    if name is None:
        return table, None
    if name not in names:
        raise DataError(
            f'data.split: {table.place} has no column "{name}".{suggestion(name, names)} Columns: {listed(names)}.'
        )
    cells = [cell if cell is None else cell.lower() for cell in texts(table.frame[name])]
    odd = np.array([row for row, cell in enumerate(cells) if cell not in WORDS], np.int64)
    if odd.size:
        found = "nothing" if cells[odd[0]] is None else repr(table.frame[name].iloc[odd[0]])
        raise DataError(
            f'{table.place}: column "{name}", data.split, holds {found} in '
            f"{rows(odd)}. Each row needs one of: {', '.join(WORDS)}."
        )
    part_N = np.array([WORDS[cell] for cell in cells if cell is not None], np.int64)
    return replace(table, frame=table.frame.drop(columns=name)), part_N


def joined(first: Table | Arrays, second: Table | Arrays) -> tuple[Table | Arrays, NDArray[np.int64]]:
    """Both, one after the other, and the part of each example: the second is the test part. Arrays are `formed`. Raises
    `DataError` where they are of two kinds, or have other columns or shapes."""
    place = f"{first.place} and, after its rows, {second.place}"
    notes = tuple(dict.fromkeys((*first.notes, *second.notes)))
    if isinstance(first, Table) and isinstance(second, Table):
        import pandas as pd

        names = list(first.frame.columns)
        lacking = [name for name in names if name not in second.frame.columns]
        strange = [name for name in second.frame.columns if name not in names]
        if lacking or strange:
            said = [f"lacks {listed(lacking)}"] if lacking else []
            said += [f"has {listed(strange)} besides"] if strange else []
            raise DataError(
                f"data.test: {second.place} {' and '.join(said)}; it needs the same columns as "
                f"{first.place}, the target among them."
            )
        frame = pd.concat([first.frame, second.frame[names]], ignore_index=True)
        sizes = (len(first.frame), len(second.frame))
        return replace(first, place=place, frame=frame, notes=notes), _parts(*sizes)
    if not isinstance(first, Arrays) or not isinstance(second, Arrays):
        raise DataError(f"data.test: {second.place} is not of the same form as {first.place}. Both must be alike.")
    if first.x.ndim == second.x.ndim == 3 and first.x.shape[2] == second.x.shape[2]:
        longest = max(first.x.shape[1], second.x.shape[1])
        first, second = (_lengthened(arrays, longest) for arrays in (first, second))
    if first.x.shape[1:] != second.x.shape[1:]:
        raise DataError(
            f"data.test: an example of {second.place} has the shape {second.x.shape[1:]}, and one of {first.place} has "
            f"{first.x.shape[1:]}. They must be alike."
        )
    if first.class_names != second.class_names:
        raise DataError(
            f"data.test: {second.place} has the classes {listed(second.class_names or ())}, and {first.place} has "
            f"{listed(first.class_names or ())}. They must be alike."
        )
    if first.y is None or second.y is None:
        raise DataError(f"data.test: {(second if second.y is None else first).place} holds no targets.")
    lengths_N = None
    if first.lengths_N is not None and second.lengths_N is not None:
        lengths_N = np.concatenate([first.lengths_N, second.lengths_N])
    return replace(
        first,
        place=place,
        x=np.concatenate([first.x, second.x]),
        y=np.concatenate([first.y, second.y]),
        lengths_N=lengths_N,
        groups=_both(first.groups, second.groups),
        time=_both(first.time, second.time),
        notes=notes,
    ), _parts(len(first.x), len(second.x))


def refuse_divided_groups(dataset: Dataset, data: DataTable, test_idx: IndexArray, pairs: Sequence[Pair]) -> None:
    """Raise `DataError` for a group that is in two parts, because the data give them."""
    if dataset.group_N is None:
        return
    for train_idx, valid_idx in pairs:
        named = (("train", train_idx), ("validation", valid_idx), ("test", test_idx))
        place: dict[str, str] = {}
        for part, idx in named:
            for group in dict.fromkeys(dataset.group_N[idx].tolist()):
                if place.setdefault(group, part) != part:
                    raise DataError(
                        f'data.group: "{group}" of "{data.group}" in {dataset.name} is in the parts {place[group]} and '
                        f"{part} that the data give. Leave data.group out, or give parts that keep a group on one side."
                    )


def _lengthened(arrays: Arrays, steps: int) -> Arrays:
    """The sequences padded with 0, and their lengths written down."""
    count, found = arrays.x.shape[:2]
    lengths_N = np.full(count, found) if arrays.lengths_N is None else arrays.lengths_N
    return replace(arrays, x=np.pad(arrays.x, ((0, 0), (0, steps - found), (0, 0))), lengths_N=lengths_N)


def _both(first: NDArray[Any] | None, second: NDArray[Any] | None) -> NDArray[Any] | None:
    return None if first is None or second is None else np.concatenate([first, second])


def _parts(train: int, test: int) -> NDArray[np.int64]:
    return np.repeat([TRAIN, TEST], [train, test]).astype(np.int64)
