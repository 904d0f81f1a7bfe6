"""The catalogue of named data sets, and the `Dataset` of a study's `[data]` table. No parsing of files.

A data set is one entry of `CATALOGUE`. Heavy modules are imported when a data set is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from hpo.data.dataset import DataKind, Dataset, Task, no_categories, suggestion
from hpo.data.readers import is_function
from hpo.data.source import load_source
from hpo.errors import DataError
from hpo.studyfile.records import DataTable


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueEntry:
    """A named data set: its description and its loader."""

    kind: DataKind
    task: Task
    examples: int
    shape: tuple[int, ...]
    """(features,) or (channels, height, width)."""
    summary: str
    load: Callable[[str], Dataset]
    """Takes the name in the catalogue, returns the data set."""


def _from_sklearn(name: str, *, loader: str, target: str) -> Dataset:
    from sklearn import datasets

    bunch: Any = getattr(datasets, loader)()
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
        target_name=target,
        class_names=class_names,
        task_reason="as the catalogue says",
    )


CATALOGUE: dict[str, CatalogueEntry] = {
    "digits": CatalogueEntry(
        kind="image",
        task="classification",
        examples=1797,
        shape=(1, 8, 8),
        summary="handwritten digits, 16 grey levels, 10 classes (scikit-learn)",
        load=partial(_from_sklearn, loader="load_digits", target="digit"),
    ),
    "wine": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=178,
        shape=(13,),
        summary="chemical analysis of wines, 3 cultivars (scikit-learn)",
        load=partial(_from_sklearn, loader="load_wine", target="cultivar"),
    ),
    "breast_cancer": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=569,
        shape=(30,),
        summary="cell nuclei of breast tumours, malignant or benign (scikit-learn)",
        load=partial(_from_sklearn, loader="load_breast_cancer", target="diagnosis"),
    ),
    "iris": CatalogueEntry(
        kind="tabular",
        task="classification",
        examples=150,
        shape=(4,),
        summary="sizes of iris flowers, 3 species (scikit-learn)",
        load=partial(_from_sklearn, loader="load_iris", target="species"),
    ),
    "diabetes": CatalogueEntry(
        kind="tabular",
        task="regression",
        examples=442,
        shape=(10,),
        summary="disease progression after one year, 25 to 346 (scikit-learn)",
        load=partial(_from_sklearn, loader="load_diabetes", target="progression"),
    ),
}


def load_dataset(data: DataTable, base: Path) -> Dataset:
    """The data set that `data.dataset` names: an entry of the catalogue, a function, or a file or folder relative to
    `base`.

    Raises `DataError` for an unknown name, data that cannot be used, or a target or task that contradicts them.
    """
    entry = CATALOGUE.get(data.dataset)
    if entry is not None:
        return _load_entry(data, entry)
    path = base / os.path.expanduser(data.dataset)
    looks_like_path = "/" in data.dataset or "\\" in data.dataset or path.suffix != ""
    if looks_like_path or is_function(data.dataset) or os.path.exists(path):
        return load_source(data, base)
    raise DataError(
        f'data.dataset: the catalogue has no "{data.dataset}".{suggestion(data.dataset, CATALOGUE)}'
        f" Known: {', '.join(CATALOGUE)}. For data of your own give a file's path, e.g. of a CSV file, and its"
        " target column."
    )


def _load_entry(data: DataTable, entry: CatalogueEntry) -> Dataset:
    dataset = entry.load(data.dataset)
    for key, given in (("shape", data.shape), ("split", data.split)):
        if given is not None:
            raise DataError(f'data.{key}: "{dataset.name}" of the catalogue is complete without it. Leave it out.')
    if isinstance(data.test, str):
        raise DataError(f'data.test: "{dataset.name}" of the catalogue has no second file. Give a share, e.g. 0.2.')
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
