"""A study's data: loaded, split and prepared. What can be wrong with it is found here, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset
from hpo.data.prepare import PreparedData, prepare
from hpo.data.splits import Splits, split
from hpo.errors import StudyFileError
from hpo.spec.file import StudySpec
from hpo.spec.records import CLASSIFICATION_METRICS, REGRESSION_METRICS


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyData:
    """What trials of a study train on, and what its winner is scored on."""

    dataset: Dataset
    splits: Splits
    prepared: PreparedData


def load_data(spec: StudySpec) -> StudyData:
    """Loads, splits and prepares the data. `StudyFileError` where it, or the study's objective, does not suit."""
    dataset = load_dataset(spec.data, Path(spec.source).parent)
    suited = REGRESSION_METRICS if dataset.task == "regression" else CLASSIFICATION_METRICS
    if spec.study.objective not in suited:
        raise StudyFileError(
            f"{spec.source}: study.objective is {spec.study.objective!r}, which does not suit {dataset.task}, "
            f"the task of {dataset.name!r}. Allowed here: {', '.join(sorted(suited))}."
        )
    splits = split(dataset, spec.data, spec.study.seed)
    return StudyData(dataset=dataset, splits=splits, prepared=prepare(dataset, splits, spec.data))
