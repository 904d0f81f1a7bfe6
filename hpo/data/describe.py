"""What was found in a data set: its columns by kind, missing cells, target, duplicates and skew. Figures, no words.

Dimensions: N rows, F numeric features, K categorical features, C of both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hpo.data.dataset import DataKind, Dataset, Task, TextArray
from hpo.data.notes import Note
from hpo.data.streaming.mapped import in_portions, spread_out

TABLES = ("tabular", "text")
"""Kinds of data that have columns."""
MOST_ROWS, MOST_NUMBERS = 20_000, 5_000_000
"""Rows of streamed data that are described, and their numbers."""
SKEWED = 2.0
"""A column is strongly skewed where its skewness is beyond this, in either direction: that of an exponential
distribution. Such columns have a few values far from the others, which standardising leaves there."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """The numbers to predict."""

    low: float
    high: float
    mean: float
    skewness: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What was found in a data set."""

    rows: int
    kind: DataKind
    shape: tuple[int, ...]
    """Of one example before encoding: (numeric columns,) or (channels, height, width)."""
    lengths: tuple[int, int] | None
    """Steps of the shortest and of the longest sequence; None where all are as long, or there are none."""
    columns: Mapping[str, tuple[str, ...]]
    """Names by kind: numeric, date, categorical, text, left out. Empty for images and sequences."""
    missing_share: float
    """Share of the features' cells that are missing."""
    missing: Mapping[str, float]
    """Share of missing cells in each column that has any, largest first."""
    target: str
    task: Task
    task_reason: str
    """Why it is this task."""
    classes: Mapping[str, float]
    """Share of the rows in each class; empty for regression."""
    numbers: Numbers | None
    """Of the target; None for classification."""
    constant: tuple[str, ...]
    """Columns that were left out because they are constant or empty, or constant pixels."""
    alike: tuple[tuple[str, ...], ...]
    """Groups of columns that hold the same values."""
    skewed: Mapping[str, float]
    """Skewness of each strongly skewed column with more than two values, largest first."""
    duplicates: int
    """Rows that repeat an earlier row, target included."""
    notes: tuple[Note, ...]


def describe(dataset: Dataset) -> Description:
    """The description of a data set; of streamed data, the columns' figures are those of some of the rows."""
    if dataset.streamed:
        return _of_sample(dataset)
    tabular = dataset.kind in TABLES
    codes_NC = _codes(dataset)
    missing = dict(_missing(dataset))
    cells = len(missing) * dataset.size
    skewed = dict(_skewed(dataset)) if tabular else {}
    known = {name: share for name, share in missing.items() if share}
    return Description(
        rows=dataset.size,
        kind=dataset.kind,
        shape=dataset.numeric.shape[1:],
        lengths=_lengths(dataset),
        columns=_columns(dataset) if tabular else {},
        missing_share=sum(missing.values()) * dataset.size / cells if cells else 0.0,
        missing=dict(sorted(known.items(), key=lambda item: -item[1])),
        target=dataset.target_name,
        task=dataset.task,
        task_reason=dataset.task_reason,
        classes=_classes(dataset),
        numbers=_numbers(dataset.target_N.astype(np.float64)) if dataset.task == "regression" else None,
        constant=_constant(dataset),
        alike=_alike(dataset, codes_NC) if tabular else (),
        skewed=dict(sorted(skewed.items(), key=lambda item: -abs(item[1]))),
        duplicates=_duplicates(dataset, codes_NC),
        notes=dataset.notes,
    )


def _of_sample(dataset: Dataset) -> Description:
    count = max(1, min(MOST_ROWS, MOST_NUMBERS // max(1, len(dataset.numeric_names))))
    idx = spread_out(np.arange(dataset.size), count)
    sample = np.concatenate(list(in_portions(dataset.numeric, idx)))
    found = describe(replace(dataset.without_numbers().rows(idx), numeric=sample, numeric_names=dataset.numeric_names))
    text = f"The figures of columns are of {len(idx):,} rows at equal distances, as the data are streamed"
    return replace(
        found,
        rows=dataset.size,
        classes=_classes(dataset),
        numbers=_numbers(dataset.target_N.astype(np.float64)) if dataset.task == "regression" else None,
        notes=(Note(kind="read_as", text=text), *dataset.notes),
    )


def skewness(values_N: NDArray[np.float64]) -> float:
    """Third central moment by the cube of the standard deviation; 0 where all values are alike."""
    scale = float(np.abs(values_N).max(initial=0.0))
    centred_N = (values_N - values_N.mean()) / scale if scale else np.zeros(len(values_N))
    spread = float(np.sqrt(np.mean(centred_N**2))) if len(values_N) else 0.0
    return float(np.mean((centred_N / spread) ** 3)) if spread > 1e-12 else 0.0


def _columns(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    dates = {name for name, form in dataset.forms.items() if form.kind == "date"}
    left_out = (note.column for note in dataset.notes if note.kind in ("left_out", "constant"))
    found = {
        "numeric": tuple(name for name in dataset.numeric_names if name not in dates),
        "date": tuple(name for name in dataset.numeric_names if name in dates),
        "categorical": dataset.categorical_names,
        "text": dataset.text_names,
        "left out": tuple(filter(None, left_out)),
    }
    return {kind: names for kind, names in found.items() if names}


def _lengths(dataset: Dataset) -> tuple[int, int] | None:
    lengths_N = dataset.lengths_N
    return None if lengths_N is None else (int(lengths_N.min()), int(lengths_N.max()))


def _missing(dataset: Dataset) -> Iterator[tuple[str, float]]:
    if dataset.kind not in TABLES:
        return
    shares_F = np.isnan(dataset.numeric).mean(axis=0)
    yield from zip(dataset.numeric_names, shares_F.tolist(), strict=True)
    for name, cells_N in zip(_named(dataset), _cells(dataset).T, strict=True):
        yield name, sum(cell is None for cell in cells_N) / len(cells_N)


def _classes(dataset: Dataset) -> dict[str, float]:
    counts = np.bincount(dataset.target_N.astype(np.int64), minlength=1) if dataset.class_names else np.arange(0)
    return {name: float(counts[index]) / dataset.size for index, name in enumerate(dataset.class_names)}


def _numbers(target_N: NDArray[np.float64]) -> Numbers:
    return Numbers(
        low=float(target_N.min()),
        high=float(target_N.max()),
        mean=float(target_N.mean()),
        skewness=skewness(target_N),
    )


def _constant(dataset: Dataset) -> tuple[str, ...]:
    if dataset.kind in TABLES:
        return tuple(note.column for note in dataset.notes if note.kind == "constant")
    flat_NF = dataset.numeric.reshape(dataset.size, -1)
    same_F = (flat_NF == flat_NF[0]).all(axis=0)
    return tuple(name for name, same in zip(dataset.numeric_names, same_F, strict=True) if same)


def _alike(dataset: Dataset, codes_NC: NDArray[np.float64]) -> tuple[tuple[str, ...], ...]:
    groups: dict[bytes, list[str]] = {}
    for name, column_N in zip((*dataset.numeric_names, *_named(dataset)), codes_NC.T, strict=True):
        groups.setdefault(column_N.tobytes(), []).append(name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)


def _skewed(dataset: Dataset) -> Iterator[tuple[str, float]]:
    for name, column_N in zip(dataset.numeric_names, dataset.numeric.astype(np.float64).T, strict=True):
        known_N = column_N[~np.isnan(column_N)]
        if len(known_N) and abs(found := skewness(known_N)) > SKEWED and len(np.unique(known_N)) > 2:
            yield name, found


def _duplicates(dataset: Dataset, codes_NC: NDArray[np.float64]) -> int:
    rows_NC = np.ascontiguousarray(np.column_stack([codes_NC, dataset.target_N]))
    return dataset.size - len({row.tobytes() for row in rows_NC})


def _codes(dataset: Dataset) -> NDArray[np.float64]:
    """[N, C] All features as numbers, equal in every byte where they are equal."""
    flat_NF = dataset.numeric.reshape(dataset.size, -1).astype(np.float64) + 0.0  # no negative zero
    flat_NF[np.isnan(flat_NF)] = np.nan
    place: dict[object, int] = {}  # one number for a text, in whatever column
    code_NC = [[place.setdefault(cell, len(place)) for cell in row] for row in _cells(dataset).tolist()]
    return np.column_stack([flat_NF, np.array(code_NC, np.float64).reshape(dataset.size, -1)])


def _cells(dataset: Dataset) -> TextArray:
    """[N, C] The cells that are texts: categories, then words."""
    if dataset.texts_NW is None:
        return dataset.categorical_NK
    return np.column_stack([dataset.categorical_NK, dataset.texts_NW])


def _named(dataset: Dataset) -> tuple[str, ...]:
    return (*dataset.categorical_names, *dataset.text_names)
