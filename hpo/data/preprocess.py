"""Preprocessing: turns features into the float32 input of a network, with statistics of the training part alone.

Columns of the result: numeric features (missing values filled with the training mean), an indicator for each numeric
feature with missing values, and one column for each category. A missing or unknown category is all zeros. Targets of a
regression are always standardised. No splitting, no reading of files.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from hpo.data.columns.categories import category_codes
from hpo.data.dataset import CellForm, DataKind, Dataset, FloatArray, Task, TextArray
from hpo.data.new_rows import NewRows, read_rows
from hpo.data.parts.strata import IndexArray
from hpo.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class AddedColumns:
    """The columns of the result beside the numeric features."""

    indicators: tuple[str, ...]
    """Numeric features with missing values."""
    categories: tuple[tuple[str, ...], ...]
    """Categories of each categorical feature, sorted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Preprocessing:
    """The fitted preprocessing: turns features into a network's input, and its output into a prediction. It can be
    written as JSON."""

    kind: DataKind
    task: Task
    input_shape: tuple[int, ...]
    """Shape of the network's input for one example: (columns,), (channels, height, width) or (length, channels)."""
    numeric_names: tuple[str, ...]
    """Numeric columns, or pixels in row-major order, that a table must have."""
    fills: tuple[float, ...]
    """Per numeric feature: the training mean, in place of a missing value."""
    offsets: tuple[float, ...]
    """Per numeric feature: subtracted; the training mean, or 0 without standardisation."""
    scales: tuple[float, ...]
    """Per numeric feature: divided by; the training standard deviation, or 1 if constant or not standardised."""
    indicators: tuple[str | None, ...]
    """Numeric features with a column that is 1 where the value is missing. None: a column of zeros, there
    because another fold has it."""
    categorical_names: tuple[str, ...]
    categories: tuple[tuple[str | None, ...], ...]
    """Per categorical feature, one column each. None: a column of zeros, there because another fold has it."""
    target_name: str
    class_names: tuple[str, ...]
    """By class index; empty for regression."""
    target_offset: float
    """Training mean of a regression's target; 0 for classification."""
    target_scale: float
    """Training standard deviation of a regression's target; 1 for classification.
    Prediction in original units: output * target_scale + target_offset."""
    forms: Mapping[str, CellForm] = field(default_factory=dict)
    """How cells are read, by column, where this is not the plain way."""

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns whose cells a reader must leave as they are written, so that `007` does not become 7, nor `1.234` a
        fraction where training had decimal commas."""
        commas = (name for name, form in self.forms.items() if form.decimal == ",")
        return (*self.categorical_names, *commas, *((self.target_name,) if self.class_names else ()))

    def as_dict(self) -> dict[str, Any]:
        """The fields as a dict for JSON; `from_dict` is the inverse."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: object) -> Preprocessing:
        """The record from the values of `as_dict`, also after a round trip through JSON. Raises ValueError if the
        values contradict each other, or have wrong types."""
        found = TypeAdapter(cls).validate_json(json.dumps(values), strict=True)
        for flaw, holds in found._rules():
            if not holds:
                raise ValueError(flaw)
        return found

    def _rules(self) -> Iterator[tuple[str, bool]]:
        """Rules that hold between the fields: a message for the case that the rule is broken, and whether it holds."""
        numbers = len(self.numeric_names)
        columns = numbers + len(self.indicators) + sum(map(len, self.categories))
        yield (
            "fills, offsets and scales need one number for each numeric_names",
            (len(self.fills) == len(self.offsets) == len(self.scales) == numbers),
        )
        yield (
            "categories needs one list for each categorical_names",
            len(self.categories) == len(self.categorical_names),
        )
        names = {*self.numeric_names, *self.categorical_names}
        yield "numeric_names and categorical_names must differ", len(names) == numbers + len(self.categorical_names)
        yield "indicators must be among numeric_names", {*self.indicators} <= {None, *self.numeric_names}
        yield (
            f"input_shape does not hold the {columns} columns",
            (min(self.input_shape, default=0) > 0 and math.prod(self.input_shape) == columns),
        )
        yield (
            "class_names must be empty for regression, and only there",
            ((self.task == "classification") == bool(self.class_names)),
        )
        numbers_used = (*self.fills, *self.offsets, *self.scales, self.target_offset, self.target_scale)
        yield "every number must be finite", all(map(math.isfinite, numbers_used))
        yield "scales and target_scale must not be 0", all((*self.scales, self.target_scale))


def added_columns(dataset: Dataset, parts: Iterable[IndexArray]) -> AddedColumns:
    """The columns that are needed for any of the training parts, so that all folds train the same architecture."""
    rows = np.unique(np.concatenate(list(parts)))
    with_missing = np.flatnonzero(np.isnan(_flat(dataset.numeric[rows])).any(axis=0))
    columns = dataset.categorical_NK[rows].T
    return AddedColumns(
        indicators=tuple(dataset.numeric_names[position] for position in with_missing),
        categories=tuple(tuple(sorted(set(column) - {None})) for column in columns),
    )


def fit_preprocessing(
    dataset: Dataset, train_idx: IndexArray, standardize: bool, layout: AddedColumns | None = None
) -> Preprocessing:
    """Fits the preprocessing to the training examples. `layout`: the added columns, by default those that these
    examples need."""
    own = added_columns(dataset, [train_idx])
    layout = layout or own
    numeric_TF = _flat(dataset.numeric[train_idx])
    fills, spreads = _mean_and_spread(numeric_TF)
    extra = len(layout.indicators) + sum(map(len, layout.categories))
    assert dataset.kind == "tabular" or not extra, "images and sequences have no missing numbers and no categories"
    offset, scale = 0.0, 1.0
    if dataset.task == "regression":
        offsets, scales = _mean_and_spread(dataset.target_N[train_idx, None].astype(np.float64))
        offset, scale = float(offsets[0]), float(scales[0])
    return Preprocessing(
        kind=dataset.kind,
        task=dataset.task,
        input_shape=dataset.numeric.shape[1:] if dataset.kind != "tabular" else (numeric_TF.shape[1] + extra,),
        numeric_names=dataset.numeric_names,
        fills=tuple(fills.tolist()),
        offsets=tuple(fills.tolist()) if standardize else (0.0,) * len(fills),
        scales=tuple(spreads.tolist()) if standardize else (1.0,) * len(fills),
        indicators=tuple(name if name in own.indicators else None for name in layout.indicators),
        categorical_names=dataset.categorical_names,
        categories=tuple(
            tuple(name if name in seen else None for name in names)
            for names, seen in zip(layout.categories, own.categories, strict=True)
        ),
        target_name=dataset.target_name,
        class_names=dataset.class_names,
        target_offset=offset,
        target_scale=scale,
        forms=dataset.forms,
    )


def apply(preprocessing: Preprocessing, dataset: Dataset, idx: IndexArray) -> NDArray[np.float32]:
    """The network's input for the chosen examples, [N, *input_shape]."""
    return _transform(preprocessing, dataset.numeric[idx], dataset.categorical_NK[idx])


def apply_target(preprocessing: Preprocessing, dataset: Dataset, idx: IndexArray) -> NDArray[np.int64 | np.float32]:
    """Class indices (int64), or standardised numbers (float32), of the chosen examples, [N]."""
    target_N = dataset.target_N[idx]
    if preprocessing.task == "classification":
        return target_N.astype(np.int64)
    return ((target_N - preprocessing.target_offset) / preprocessing.target_scale).astype(np.float32)


def features_of_frame(preprocessing: Preprocessing, frame: DataFrame) -> NDArray[np.float32]:
    """The network's input for the rows of a table, as `apply` makes it, [N, *input_shape]. Raises `DataError` for a
    missing column or a cell that should be a number."""
    return features_of_rows(preprocessing, read_rows(preprocessing, frame))


def features_of_rows(preprocessing: Preprocessing, rows: NewRows) -> NDArray[np.float32]:
    """The network's input for rows that `read_rows` has read, [N, *input_shape]."""
    return _transform(preprocessing, rows.numeric_NF, rows.categorical_NK)


def _transform(p: Preprocessing, numeric: FloatArray, categorical_NK: TextArray) -> NDArray[np.float32]:
    numeric_NF = _flat(numeric)
    missing_NF = np.isnan(numeric_NF)
    filled_NF = np.where(missing_NF, np.array(p.fills), numeric_NF)
    with np.errstate(over="ignore"):
        blocks = [((filled_NF - np.array(p.offsets)) / np.array(p.scales)).astype(np.float32)]
    wild_F = ~np.isfinite(blocks[0]).all(axis=0)
    if wild_F.any():
        raise DataError(
            f'Column "{p.numeric_names[int(wild_F.argmax())]}" holds a number that is infinite or, beside those'
            " of the training part, too large for float32. Correct it, or leave it empty if it is unknown."
        )
    positions = {name: position for position, name in enumerate(p.numeric_names)}
    zeros_N = np.zeros(len(numeric_NF), np.float32)
    for indicator in p.indicators:
        present = zeros_N if indicator is None else missing_NF[:, positions[indicator]].astype(np.float32)
        blocks.append(present[:, None])
    for names, column_N in zip(p.categories, categorical_NK.T, strict=True):
        code_N = category_codes(column_N.tolist(), names)
        blocks.append((code_N[:, None] == np.arange(len(names))).astype(np.float32))
    return np.ascontiguousarray(np.concatenate(blocks, axis=1).reshape(len(numeric_NF), *p.input_shape))


def _mean_and_spread(values_NF: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each column's present values; (0, 1) without any, spread 1 if constant."""
    present_NF = ~np.isnan(values_NF)
    counts_F = np.maximum(present_NF.sum(axis=0), 1)
    low_F = np.where(present_NF, values_NF, np.inf).min(axis=0, initial=np.inf)
    low_F = np.where(np.isfinite(low_F), low_F, 0.0).astype(np.float64)
    # Relative to its smallest value, a constant column is exactly 0, so that rounding errors give it no spread.
    above_NF = np.where(present_NF, values_NF - low_F, 0.0)
    means_F = above_NF.sum(axis=0) / counts_F
    squares_NF = np.where(present_NF, np.square(above_NF - means_F), 0.0)
    spreads_F = np.sqrt(squares_NF.sum(axis=0) / counts_F)
    return low_F + means_F, np.where(spreads_F > 0, spreads_F, 1.0)


def _flat(features: FloatArray) -> FloatArray:
    return features.reshape(len(features), math.prod(features.shape[1:]))
