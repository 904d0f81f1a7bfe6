"""Data sets loaded as a study does it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hpo.data.catalogue import load_dataset
from hpo.data.dataset import Dataset
from hpo.errors import DataError
from hpo.studyfile.records import DataTable


def load(base: Path, dataset: str, **settings: object) -> Dataset:
    return load_dataset(DataTable.model_validate({"dataset": dataset, **settings}), base)


def refused(base: Path, dataset: str, **settings: object) -> str:
    """The message with which the data are refused."""
    with pytest.raises(DataError) as caught:
        load(base, dataset, **settings)
    return str(caught.value)
