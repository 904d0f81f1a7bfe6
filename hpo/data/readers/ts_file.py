"""Time series in `.ts` files, the format of aeon, sktime and the UEA and UCR archive.

Lines that begin with `@` say what follows `@data`: an example on each line, its channels one after the other with a
colon between them, each a list of numbers; the class, or the number to predict, comes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hpo.data.arrays import Arrays
from hpo.data.readers.files import read_bytes
from hpo.errors import DataError
from hpo.printable import on_one_line
from hpo.studyfile.records import DataTable

TARGETS = {"classlabel": "class", "targetlabel": "target"}
"""What the target is called, by the line that says that there is one."""


def read_ts(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Arrays:
    """The sequences in a file and their targets. Raises `DataError` for steps with times, channels of unequal length in
    one example, or a line that is no example."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: byte 0x{error.object[error.start]:02x} is not UTF-8. Save it in UTF-8.") from None
    about: dict[str, str] = {}
    xs_TC: list[NDArray[np.float64]] = []
    y: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("@"):
            name, _, said = line[1:].partition(" ")
            about[name.lower()] = said.strip().lower()
            continue
        where = f"{path}, line {number}"
        if "data" not in about:
            raise DataError(f"{where}: {on_one_line(line[:40])} stands before @data. Examples must stand after it.")
        if about.get("timestamps") == "true":
            raise DataError(f"{path}: its steps have times (@timestamps true). Save them at equal distances, without.")
        *channels, last = line.split(":")
        if _target(about) is None:
            channels.append(last)
        else:
            y.append(last.strip())
        x_TC = _example(channels, where)
        if xs_TC and x_TC.shape[1] != xs_TC[0].shape[1]:
            raise DataError(
                f"{where}: it has {x_TC.shape[1]} channels, and the first example has {xs_TC[0].shape[1]}. Each needs "
                "the same channels."
            )
        xs_TC.append(x_TC)
    if not xs_TC:
        raise DataError(f"{path}: there is no example in it. Each is a line after @data.")
    target = _target(about)
    return Arrays(
        name=path.name,
        place=str(path),
        x=np.concatenate(xs_TC),
        y=np.array(y) if target else None,
        y_name=target or "y",
        lengths_N=np.array([len(x_TC) for x_TC in xs_TC], np.int64),
    )


def _target(about: dict[str, str]) -> str | None:
    return next((name for key, name in TARGETS.items() if about.get(key, "").startswith("true")), None)


def _example(channels: list[str], where: str) -> NDArray[np.float64]:
    """[T, C]"""
    lists = [[cell.strip() for cell in channel.split(",")] for channel in channels]
    sizes = {len(cells) for cells in lists}
    if len(sizes) != 1:
        raise DataError(f"{where}: its channels have {sorted(sizes)} steps. All channels of an example need as many.")
    try:
        return np.array([[float("nan" if cell == "?" else cell) for cell in cells] for cells in lists]).T
    except ValueError as error:
        raise DataError(f"{where}: {on_one_line(str(error))}. Each step must be a number, without blanks.") from None
