"""Data that come as an object: a frame, arrays, or a data set of PyTorch; from a function of the user's own, or given
in Python."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import Arrays, arrays_of
from hpo.data.table import Table, table_of
from hpo.errors import DataError, InputError
from hpo.own_code import load_callable, reporting_errors, with_article
from hpo.studyfile.custom import Reference

MAY_BE = (
    "a pandas DataFrame, a pair of arrays (X, y), a dict of arrays with the keys X, y and lengths, or a "
    "torch.utils.data.Dataset whose items are pairs (x, y)"
)


def call(text: str, base: Path, key: str) -> Table | Arrays:
    """What the function gives that `FILE.py:NAME` or `PACKAGE.MODULE:NAME` names. Raises `DataError` for an error in
    it, and for anything else than a frame, arrays or a data set."""
    reference = Reference.of(text, key).below(base)
    place = f"{key} {text}"
    name = Path(reference.module).name if reference.is_file else reference.module
    try:
        function = load_callable(reference)
        with reporting_errors(reference, f"{reference.name}()"):
            given = function()
            read = _of_items if _is_map_style(given) else _read
            try:
                return read(given, f"{name}:{reference.name}", place)
            except DataError as error:
                refused = error
    except InputError as error:
        refused = DataError(str(error))
    raise refused from None


def read_object(objects: Mapping[str, Any] | None, key: str) -> Table | Arrays:
    """What the object holds that stands for the data at this key; it may be all that a function may give. Raises
    `DataError` where it is not at hand, or is something else."""
    if objects is None or key not in objects:
        raise DataError(
            f"{key}: the study was given its data as an object of Python, which is not stored. Go on from Python code "
            "with the same object: hpo.run(STUDY) continues the study and returns it, and its method export writes a "
            "trial. For commands and workers, save the data to a file, and begin a study that names the file."
        )
    given = objects[key]
    read = _of_items if _is_map_style(given) else _read
    try:
        return read(given, type(given).__name__, key)
    except ValueError as error:  # arrays of unequal rows
        raise DataError(f"{key}: {error}.") from None


def _read(given: Any, name: str, place: str) -> Table | Arrays:
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return table_of(given.reset_index(drop=True), name, place)
    if isinstance(given, Mapping):
        return arrays_of({str(key): _array(value) for key, value in given.items() if value is not None}, name, place)
    if isinstance(given, (tuple, list)) and len(given) == 2:
        x, y = given
        if not isinstance(x, pd.DataFrame):
            return arrays_of({"X": _array(x)} | ({} if y is None else {"y": _array(y)}), name, place)
        target = str(getattr(y, "name", None) or "y")
        if len(x) != len(y):
            raise DataError(f"{place}: X has {len(x)} rows and y has {len(y)}. Each row needs one target.")
        frame = pd.concat([x.reset_index(drop=True), pd.Series(_array(y), name=target)], axis=1)
        table = table_of(frame, name, place)
        return Table(name=table.name, place=place, frame=table.frame, target=target)
    raise DataError(f"{place}: found {with_article(given)}; must be {MAY_BE}.")


def _is_map_style(given: Any) -> bool:
    """Whether it has a length and items by number, and is none of the plain containers."""
    import pandas as pd

    plain = isinstance(given, (pd.DataFrame, pd.Series, Mapping, tuple, list, str, bytes, np.ndarray))
    return not plain and all(hasattr(type(given), name) for name in ("__len__", "__getitem__"))


def _of_items(given: Any, name: str, place: str) -> Arrays:
    """The items of a data set of PyTorch; examples of unequal length are sequences."""
    xs: list[NDArray[Any]] = []
    ys: list[Any] = []
    for number in range(len(given)):
        item = given[number]
        if not isinstance(item, (tuple, list)) or len(item) != 2:
            raise DataError(f"{place}: item {number} is {with_article(item)}, and must be a pair (x, y).")
        xs.append(_array(item[0]))
        ys.append(_array(item[1]).tolist())
    if not xs:
        raise DataError(f"{place}: found a data set without items. Add examples.")
    y = np.asarray(ys)
    odd = next((number for number, x in enumerate(xs) if x.shape != xs[0].shape), None)
    if odd is None:
        return Arrays(name=name, place=place, x=np.stack(xs), y=y)
    if any(x.ndim not in (1, 2) or x.shape[1:] != xs[0].shape[1:] for x in xs):
        raise DataError(
            f"{place}: item {odd} has the shape {xs[odd].shape}, and item 0 has {xs[0].shape}. Bring all to one shape; "
            "only sequences, [length, channels], may differ, in their length."
        )
    return Arrays(name=name, place=place, x=np.concatenate(xs), y=y, lengths_N=np.array([len(x) for x in xs]))


def _array(value: Any) -> NDArray[Any]:
    """An array, tensor or image as an array. Raises ValueError where its parts are of unequal size."""
    if hasattr(value, "detach"):  # a tensor, maybe on a GPU or with a gradient
        value = value.detach().cpu()
    return np.asarray(value)
