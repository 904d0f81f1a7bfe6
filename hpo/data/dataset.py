"""The record of a data set, whatever its source. No loading, no splitting, no scaling.

Shape letters: N examples, F numeric features, K categorical features, C x H x W an image, T x C a sequence.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hpo.data.notes import Note

DataKind = Literal["image", "sequence", "tabular", "text"]
Task = Literal["classification", "regression"]

FloatArray = NDArray[np.float32] | NDArray[np.float64]
TextArray = NDArray[np.object_]
"""Cells of categorical or text columns: str, or None where missing."""

PARTS = ("train", "validation", "test")
"""Parts that the data may give; `part_N` is an index into them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CellForm:
    """How the cells of a column are read."""

    kind: Literal["numeric", "date"]
    decimal: str | None = None
    """Mark before decimals; None: found from the cells."""
    thousands: str | None = None
    """Mark between thousands, empty for none; None: found from the cells."""
    others_missing: bool = False
    """Whether a cell that is no number counts as missing; else it is a mistake."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OnDisk:
    """Where the rows of streamed data lie as models take them."""

    folder: Path
    content: str
    """SHA-256 of the numbers of all examples."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Dataset:
    """Examples and their targets, neither scaled nor split."""

    name: str
    """The catalogue's name or the file's."""
    kind: DataKind
    task: Task
    numeric: FloatArray
    """[N, F] float64 with NaN where missing, images [N, C, H, W] float32, or sequences [N, T, C], padded with 0 to the
    longest; no pixel and no step is missing. Of streamed data any numbers, memory-mapped."""
    numeric_names: tuple[str, ...]
    """One name for each of the F columns, C*H*W pixels or T*C numbers of a sequence, in row-major order."""
    categorical_NK: TextArray
    """Text cells of the categorical columns; K = 0 for images and sequences."""
    categorical_names: tuple[str, ...]
    target_N: NDArray[np.int64] | NDArray[np.float64]
    """Index into `class_names` (int64), or the number to predict (float64)."""
    target_name: str
    class_names: tuple[str, ...]
    """Empty for regression."""
    forms: Mapping[str, CellForm] = field(default_factory=dict)
    """How cells of a table are read, by column, where this is not the plain way; a table to predict is read alike."""
    lengths_N: NDArray[np.int64] | None = None
    """Steps of each sequence; None where all are of full length."""
    texts_NW: TextArray | None = None
    """Cells of the text columns; None without any."""
    text_names: tuple[str, ...] = ()
    part_N: NDArray[np.int64] | None = None
    """Index into `PARTS`, where the data say which example is of which part."""
    group_N: TextArray | None = None
    """The group of each example, where examples of a group must be in one part."""
    time_N: NDArray[np.float64] | None = None
    """The time of each example, where parts must follow it."""
    task_reason: str = ""
    """Why it is this task, e.g. `3 distinct texts`."""
    notes: tuple[Note, ...] = ()
    """What the user should know about how it was read."""
    on_disk: OnDisk | None = None
    """Of streamed data; None where the numbers are in memory."""

    def __post_init__(self) -> None:
        size = len(self.target_N)
        assert len(self.numeric) == size, "features and target must have one row per example"
        assert self.categorical_NK.shape == (size, len(self.categorical_names)), "one name per categorical column"
        assert self.texts_NW is None or self.texts_NW.shape == (size, len(self.text_names)), "one name per text column"
        assert math.prod(self.numeric.shape[1:]) == len(self.numeric_names), "one name per numeric feature"

    @property
    def size(self) -> int:
        """Number of examples."""
        return len(self.target_N)

    @property
    def streamed(self) -> bool:
        """Whether the numbers are on disk and read in portions, because memory may not hold them."""
        return self.on_disk is not None

    def without_numbers(self) -> Dataset:
        """The same without numeric features, where they do not count."""
        return replace(self, numeric=np.empty((self.size, 0)), numeric_names=(), on_disk=None)

    def rows(self, idx: NDArray[np.int64]) -> Dataset:
        """The chosen examples in memory, without the parts that the data give."""
        return replace(
            self,
            on_disk=None,
            numeric=self.numeric[idx],
            categorical_NK=self.categorical_NK[idx],
            target_N=self.target_N[idx],
            lengths_N=None if self.lengths_N is None else self.lengths_N[idx],
            texts_NW=None if self.texts_NW is None else self.texts_NW[idx],
            group_N=None if self.group_N is None else self.group_N[idx],
            time_N=None if self.time_N is None else self.time_N[idx],
            part_N=None,
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all data that training uses, by which a study detects that its data has changed.

        It depends on the content, not on the file: other line endings or quotes do not change it.
        """
        about = {
            "kind": self.kind,
            "task": self.task,
            "shape": self.numeric.shape,
            "columns": [self.numeric_names, self.categorical_names, self.target_name],
            "classes": self.class_names,
        }
        if self.texts_NW is not None:
            about["texts"] = [self.text_names, self.texts_NW.tolist()]
        text = f'{json.dumps(about)[:-1]}, "categorical": {_json_of(self.categorical_NK)}}}'
        digest = hashlib.sha256(text.encode())
        if self.on_disk is None:
            digest.update(np.ascontiguousarray(self.numeric, dtype="<f8").tobytes())
        else:
            digest.update(self.on_disk.content.encode())
        digest.update(np.ascontiguousarray(self.target_N, dtype="<f8").tobytes())
        for given in (self.lengths_N, self.part_N):
            if given is not None:
                digest.update(np.ascontiguousarray(given, dtype="<i8").tobytes())
        if self.group_N is not None:
            digest.update(json.dumps(["groups", *self.group_N.tolist()]).encode())
        if self.time_N is not None:
            digest.update(b"times" + np.ascontiguousarray(self.time_N, dtype="<f8").tobytes())
        return digest.hexdigest()


def _json_of(cells_NK: TextArray) -> str:
    """What `json.dumps` writes of all rows; each different text is encoded once."""
    columns = [column.tolist() for column in cells_NK.T]
    encoded = [{text: json.dumps(text) for text in set(column)} for column in columns]
    written = [[known[text] for text in column] for known, column in zip(encoded, columns, strict=True)]
    rows = map(", ".join, zip(*written, strict=True) if written else [()] * len(cells_NK))
    return f"[{', '.join(f'[{row}]' for row in rows)}]"


def no_categories(size: int) -> TextArray:
    """The `categorical_NK` of a data set without categorical columns."""
    return np.empty((size, 0), dtype=object)


def suggestion(name: str, known: Iterable[str]) -> str:
    """` Did you mean "wine"?` if a known name is similar, else an empty text."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f' Did you mean "{near[0]}"?' if near else ""
