"""Data sets that scikit-learn contains."""

from __future__ import annotations

from typing import Any

import numpy as np

from hpo.data.catalogue.entry import Bundled
from hpo.data.dataset import Dataset, no_categories
from hpo.errors import DataError
from hpo.studyfile.records import DataTable


def load_bundled(source: Bundled, data: DataTable) -> Dataset:
    """The data set. Raises `DataError` for settings that contradict it."""
    dataset = _load(source, data.dataset)
    for key, given in (("shape", data.shape), ("split", data.split)):
        if given is not None:
            raise DataError(f'data.{key}: "{dataset.name}" of the catalogue is complete without it. Leave it out.')
    if data.target not in (None, dataset.target_name):
        raise DataError(
            f'data.target: "{data.target}" cannot be predicted: "{dataset.name}" comes with its own target,'
            f' "{dataset.target_name}". Leave data.target out.'
        )
    if data.task not in ("auto", dataset.task):
        raise DataError(
            f'data.task: "{data.task}" does not fit: the target of "{dataset.name}" is for {dataset.task}.'
            f' Leave data.task out or set it to "{dataset.task}".'
        )
    return dataset


def _load(source: Bundled, name: str) -> Dataset:
    from sklearn import datasets

    bunch: Any = getattr(datasets, source.loader)()
    is_image = "images" in bunch
    class_names = tuple(str(label) for label in bunch.get("target_names", ()))
    target_N: Any = np.asarray(bunch.target, np.int64 if class_names else np.float64)
    return Dataset(
        name=name,
        kind="image" if is_image else "tabular",
        task="classification" if class_names else "regression",
        numeric=np.asarray(bunch.images[:, None], np.float32) if is_image else np.asarray(bunch.data, np.float64),
        numeric_names=tuple(str(column) for column in bunch.feature_names),
        categorical_NK=no_categories(len(bunch.target)),
        categorical_names=(),
        target_N=target_N,
        target_name=source.target,
        class_names=class_names,
        task_reason="as the catalogue says",
    )
