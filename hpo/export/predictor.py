"""Predictions of an exported trial for the rows of a table. The model is built here, `model.py` is not executed; the
file of a model of the user's own is.

Dimensions: N rows, C classes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from hpo import models
from hpo.data.columns import parse_numbers, texts
from hpo.data.preprocess import Preprocessing, features_of_frame
from hpo.errors import InputError
from hpo.export.folder import FORMAT, weight_names
from hpo.spec.records import TrialConfig
from hpo.training import ensemble

if TYPE_CHECKING:
    from pandas import DataFrame, Series


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictor:
    """An exported trial, ready to predict. One model and one preprocessing for each replica."""

    modules: tuple[nn.Sequential, ...]
    preprocessing: tuple[Preprocessing, ...]

    @property
    def class_names(self) -> tuple[str, ...]:
        """By class index; empty for regression."""
        return self.preprocessing[0].class_names

    @property
    def target_name(self) -> str:
        return self.preprocessing[0].target_name


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Prediction:
    """What is predicted for each row."""

    labels: tuple[str, ...] | tuple[float, ...]
    """A class name, or a number in the target's unit."""
    probabilities_NC: NDArray[np.float64]
    """Of each class; C = 0 for regression."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """How predictions compare with the table's own target."""

    metric: str
    value: float
    rows: int
    """Rows whose target is known; the others do not count."""


def read_export(folder: Path) -> Predictor:
    """What `hpo export` wrote. `InputError` says which file is missing or damaged."""
    about = _json(folder / "config.json")
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise InputError(f"{folder / 'config.json'} is not from this version of `hpo export`. Export the trial again.")
    try:
        config = TrialConfig.model_validate(about["config"]).below(folder)
        preprocessing = tuple(Preprocessing.from_dict(found) for found in _json(folder / "preprocessing.json"))
        modules = []
        for name in weight_names(len(preprocessing)):
            module = models.build(config, tuple(about["input_shape"]), about["outputs"])
            module.load_state_dict(_weights(folder / name))
            modules.append(module.eval())
        if not modules:
            raise ValueError("preprocessing.json is empty")
    except (AttributeError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"{folder}: the files do not fit together ({reason}). Export the trial again with --force."
        ) from error
    return Predictor(modules=tuple(modules), preprocessing=preprocessing)


def predict(predictor: Predictor, frame: DataFrame) -> Prediction:
    """The answers of all replicas as one. Raises `DataError` for an unfit table."""
    answers = []
    for module, preprocessing in zip(predictor.modules, predictor.preprocessing, strict=True):
        rows = torch.from_numpy(features_of_frame(preprocessing, frame))
        scale, offset = preprocessing.target_scale, preprocessing.target_offset
        answers.append(ensemble.Answer(outputs_NC=ensemble.outputs(module, rows), scale=scale, offset=offset))
    if not predictor.class_names:
        labels = tuple(ensemble.numbers(answers).tolist())
        return Prediction(labels=labels, probabilities_NC=np.empty((len(frame), 0)))
    log_p = ensemble.log_probabilities(answers)
    names = tuple(predictor.class_names[index] for index in log_p.argmax(1).tolist())
    return Prediction(labels=names, probabilities_NC=log_p.exp().numpy())


def score(predictor: Predictor, prediction: Prediction, frame: DataFrame) -> Score | None:
    """Accuracy or root mean squared error, where the table has the target; None where nothing of it is known."""
    if predictor.target_name not in frame.columns:
        return None
    column = frame[predictor.target_name]
    if predictor.class_names:
        classes = _classes(column, predictor.class_names)
        hits = [hit == label for hit, label in zip(classes, prediction.labels, strict=True) if hit is not None]
        if not set(classes) & set(predictor.class_names):
            return None
        return Score(metric="accuracy", value=float(np.mean(hits)), rows=len(hits))
    errors_N = parse_numbers(column).values_N - np.array(prediction.labels)
    known_N = errors_N[np.isfinite(errors_N)]
    if not len(known_N):
        return None
    return Score(metric="rmse", value=float(np.sqrt(np.mean(np.square(known_N)))), rows=len(known_N))


def table(predictor: Predictor, prediction: Prediction) -> tuple[list[str], list[list[Any]]]:
    """The names of the columns and the rows: number from 1, prediction, probabilities to 6 digits."""
    names = ["row", "prediction", *(f"p({name})" for name in predictor.class_names)]
    rows = [
        [number, label, *(float(f"{p:.6g}") for p in probabilities)]
        for number, (label, probabilities) in enumerate(
            zip(prediction.labels, prediction.probabilities_NC, strict=True), 1
        )
    ]
    return names, rows


def _classes(column: Series[Any], known: tuple[str, ...]) -> list[str | None]:
    """The cells in the words of the classes: a number is written as training wrote it, unless the cell is a class
    as it stands."""
    import pandas as pd

    numbers = pd.Series(parse_numbers(column).values_N)
    pairs = zip(texts(column), texts(numbers), strict=True)
    return [cell if cell in known or number is None else number for cell, number in pairs]


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. Write an export with `hpo export STUDY -o DIR`.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}). Export the trial again with --force.") from None


def _weights(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} is missing or damaged ({error}). Export the trial again with --force.") from None
