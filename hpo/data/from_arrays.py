"""Arrays become a `Dataset`: images and sequences at once, rows of numbers as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.arrays import Arrays, names_of
from hpo.data.columns.target import Target, read_target
from hpo.data.dataset import Dataset, no_categories
from hpo.data.table import Table
from hpo.errors import DataError
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from pandas import Series


def dataset_of_arrays(arrays: Arrays, data: DataTable) -> Dataset:
    """The data set in images or sequences that are `formed`. Raises `DataError` where their target does not suit."""
    shape = arrays.x.shape[1:]
    goal = target_of(arrays, data)
    return Dataset(
        name=arrays.name,
        kind="image" if arrays.x.ndim == 4 else "sequence",
        task=goal.task,
        numeric=arrays.x,
        numeric_names=arrays.columns or names_of(shape),
        categorical_NK=no_categories(len(arrays.x)),
        categorical_names=(),
        target_N=goal.values_N,
        target_name=goal.name,
        class_names=goal.class_names,
        lengths_N=arrays.lengths_N,
        task_reason=goal.reason,
        notes=(*arrays.notes, *goal.notes),
    )


def table_of_arrays(arrays: Arrays) -> Table:
    """The numbers as columns `x0`, `x1`, ... (`names_of`) and the target, if there is one, as another. Behind the end
    of a sequence, they are missing."""
    import pandas as pd

    x = arrays.x
    if arrays.lengths_N is not None:
        x = np.where((np.arange(x.shape[1]) < arrays.lengths_N[:, None])[:, :, None], x, np.nan)
    x_NF = x.reshape(len(x), -1)
    frame = pd.DataFrame(x_NF, columns=list(arrays.columns or names_of(arrays.x.shape[1:])))
    if arrays.y is not None:
        frame = pd.concat([frame, _targets(arrays).rename(arrays.y_name)], axis=1)
    target = arrays.y_name if arrays.y is not None else None
    return Table(name=arrays.name, place=arrays.place, frame=frame, target=target, notes=arrays.notes)


def refuse_no_target(arrays: Arrays) -> None:
    """Raise `DataError` where there is nothing to predict."""
    if arrays.y is None:
        raise DataError(
            f"data.target: missing. {arrays.place} holds no targets: save them beside X as y in an .npz file, or name "
            'a file with them, e.g. data.target = "labels.npy", or data.target = "last" for the last column of X.'
        )


def target_of(arrays: Arrays, data: DataTable) -> Target:
    """What is to be predicted. Raises `DataError` where it does not suit."""
    name = arrays.y_name
    if arrays.class_names is None:
        refuse_no_target(arrays)
        table = Table(name=arrays.name, place=arrays.place, frame=_targets(arrays).to_frame(name))
        return read_target(table, data.model_copy(update={"target": name}))
    where = f'{arrays.place}: target "{name}"'
    if data.task == "regression":
        raise DataError(f'{where} holds names of classes. Set data.task = "classification", or leave it out.')
    if len(arrays.class_names) == 1:
        raise DataError(f"{where} is {arrays.class_names[0]} for every example, so there is nothing to learn.")
    y_N, reason = np.asarray(arrays.y, np.int64), f"{len(arrays.class_names)} names of classes"
    return Target(
        name=name, task="classification", values_N=y_N, class_names=arrays.class_names, reason=reason, notes=()
    )


def _targets(arrays: Arrays) -> Series[Any]:
    """The targets as a column."""
    import pandas as pd

    assert arrays.y is not None
    y_N = arrays.y if arrays.class_names is None else np.array(arrays.class_names)[arrays.y]
    if y_N.ndim != 1 and y_N.size == len(y_N):
        y_N = y_N.reshape(len(y_N))
    if y_N.ndim != 1:
        raise DataError(
            f"{arrays.place}: {arrays.y_name} has the shape {y_N.shape}, and one target for each example is needed. "
            "Of columns that mark the class by a 1, take numpy.argmax(y, axis=1)."
        )
    if y_N.dtype.kind not in "biufUSO":
        raise DataError(f"{arrays.place}: {arrays.y_name} holds {y_N.dtype}, and must hold numbers or texts.")
    if y_N.dtype.kind == "S":
        y_N = np.char.decode(y_N, "utf-8", "replace")
    return pd.Series(y_N.astype(object) if y_N.dtype.kind == "U" else y_N)
