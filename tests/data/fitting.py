"""Preprocessing of a data set as most tests of it need it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hpo.data.dataset import Dataset
from hpo.data.parts.strata import IndexArray
from hpo.data.preprocessing.fit import Columns, Learner
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.studyfile.records import DataTable


def fit(dataset: Dataset, idx: IndexArray, columns: Columns | None = None, **settings: Any) -> Preprocessing:
    """Fitted to some examples; `settings`: of the study's [data]."""
    return learner(dataset, **settings).fit(idx, columns)


def columns_of(dataset: Dataset, parts: Iterable[IndexArray], **settings: Any) -> Columns:
    """The columns that the parts need together."""
    return learner(dataset, **settings).columns(parts)


def learner(dataset: Dataset, **settings: Any) -> Learner:
    return Learner.of(dataset, DataTable(dataset="made", **settings))
