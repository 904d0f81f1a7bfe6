"""Predictions of an exported trial for the rows of a table. Its files are read in `hpo.export.reading`.

Dimensions: N rows, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hpo.data.columns.categories import category_codes
from hpo.data.columns.cells import to_numbers
from hpo.data.new_rows import ColumnReport, read_rows, report
from hpo.data.preprocessing.apply import features_of_rows
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.data.table import texts
from hpo.export.reading import read_export
from hpo.training import ensemble

if TYPE_CHECKING:
    from pandas import DataFrame, Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictor:
    """An exported trial, ready to predict. One model and one preprocessing for each replica."""

    modules: tuple[nn.Sequential, ...]
    preprocessing: tuple[Preprocessing, ...]
    reading: Mapping[str, Any] = field(default_factory=dict)
    """How the CSV files of training were declared, by the keys of `[data]`."""

    @classmethod
    def load(cls, folder: str | Path) -> Predictor:
        """From the folder that `hpo export` wrote. `InputError` says which of its files is missing or damaged."""
        modules, preprocessing, reading = read_export(Path(folder))
        return cls(modules=modules, preprocessing=preprocessing, reading=reading.model_dump())

    @property
    def class_names(self) -> tuple[str, ...]:
        """By class index; empty for regression."""
        return self.preprocessing[0].class_names

    @property
    def target_name(self) -> str:
        return self.preprocessing[0].target_name

    @property
    def text_columns(self) -> tuple[str, ...]:
        """Columns whose cells a reader must leave as they are written."""
        return self.preprocessing[0].text_columns

    def predict(self, frame: DataFrame) -> DataFrame:
        """A frame with the same index: column `prediction` and, for classes, a column `p(CLASS)` with the probability
        of each. Raises `DataError` if the frame lacks a column, or a cell is no number where one is needed."""
        return _as_frame(self, predict(self, frame)).set_axis(frame.index)

    def report(self, frame: DataFrame) -> tuple[ColumnReport, ...]:
        """What is odd in the frame, column by column: categories that training did not have, and missing cells. Raises
        as `predict` does."""
        return report(self.preprocessing, read_rows(self.preprocessing[0], frame))


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """Predictions for the N rows of a table."""

    labels: tuple[str, ...] | tuple[float, ...]
    """For each row, the name of the class or a number in the target's unit."""
    probabilities_NC: NDArray[np.float64]
    """Probability of each class; C = 0 for regression."""
    odd: tuple[ColumnReport, ...]
    """What is odd in the table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TableScore:
    """The score of predictions against the table's own target."""

    metric: str
    value: float
    rows: int
    """Number of rows with a known target; the score is computed over these."""


def predict(predictor: Predictor, frame: DataFrame) -> Prediction:
    """The prediction of the ensemble of all replicas. Raises `DataError` if columns are missing or damaged."""
    rows, answers = read_rows(predictor.preprocessing[0], frame), []
    for module, preprocessing in zip(predictor.modules, predictor.preprocessing, strict=True):
        x = torch.from_numpy(features_of_rows(preprocessing, rows))
        scale, offset = preprocessing.target_scale, preprocessing.target_offset
        answers.append(ensemble.ModelOutputs(outputs_NC=ensemble.outputs(module, x), scale=scale, offset=offset))
    odd = report(predictor.preprocessing, rows)
    if not predictor.class_names:
        labels = tuple(ensemble.numbers(answers).tolist())
        return Prediction(labels=labels, probabilities_NC=np.empty((len(labels), 0)), odd=odd)
    log_p = ensemble.log_probabilities(answers)
    names = tuple(predictor.class_names[index] for index in log_p.argmax(1).tolist())
    return Prediction(labels=names, probabilities_NC=log_p.exp().numpy(), odd=odd)


def score_predictions(predictor: Predictor, prediction: Prediction, frame: DataFrame) -> TableScore | None:
    """Accuracy, or root mean squared error in the target's unit; None if the table has no usable target."""
    if predictor.target_name not in frame.columns:
        return None
    column = frame[predictor.target_name]
    if predictor.class_names:
        classes = _classes(column, predictor.class_names)
        hits = [hit == label for hit, label in zip(classes, prediction.labels, strict=True) if hit is not None]
        if not set(classes) & set(predictor.class_names):
            return None
        return TableScore(metric="accuracy", value=float(np.mean(hits)), rows=len(hits))
    errors_N = to_numbers(column).values_N - np.array(prediction.labels)
    known_N = errors_N[np.isfinite(errors_N)]
    if not len(known_N):
        return None
    return TableScore(metric="rmse", value=float(np.sqrt(np.mean(np.square(known_N)))), rows=len(known_N))


def prediction_table(predictor: Predictor, prediction: Prediction) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns and the rows: number from 1, prediction, probabilities to 6 digits."""
    frame = _as_frame(predictor, prediction)
    rows = [
        [number, label, *(float(f"{p:.6g}") for p in probabilities)]
        for number, (label, *probabilities) in enumerate(zip(*(frame[name].tolist() for name in frame), strict=True), 1)
    ]
    return ["row", *frame.columns], rows


def _as_frame(predictor: Predictor, prediction: Prediction) -> DataFrame:
    import pandas as pd

    probabilities = zip(predictor.class_names, prediction.probabilities_NC.T, strict=True)
    labels = pd.Series(prediction.labels, dtype=object if predictor.class_names else float)
    return pd.DataFrame({"prediction": labels, **{f"p({name})": p for name, p in probabilities}})


def _classes(column: Series[Any], known: tuple[str, ...]) -> list[str | None]:
    """The cells as names of classes; None if missing, other texts as they are."""
    cells = texts(column).tolist()
    codes = category_codes(cells, known).tolist()
    return [cell if code < 0 else known[code] for cell, code in zip(cells, codes, strict=True)]
