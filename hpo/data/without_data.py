"""The data of a study that names none, because its training function brings its own: an empty data set."""

from __future__ import annotations

import numpy as np

from hpo.data.dataset import Dataset, no_categories
from hpo.data.parts.splits import Splits
from hpo.data.prepare import PreparedData
from hpo.data.study import StudyData
from hpo.signature import Signature


def no_data() -> StudyData:
    """An empty data set with no parts."""
    dataset = Dataset(
        name="no data",
        kind="tabular",
        task="regression",
        numeric=np.empty((0, 0), np.float64),
        numeric_names=(),
        categorical_NK=no_categories(0),
        categorical_names=(),
        target_N=np.empty(0, np.float64),
        target_name="",
        class_names=(),
    )
    prepared = PreparedData(
        kind="tabular",
        task="regression",
        signature=Signature.of_values(0),
        outputs=1,
        class_names=(),
        replicas=(),
    )
    splits = Splits(test_idx=np.empty(0, np.int64), replicas=(), balance=())
    return StudyData(dataset=dataset, splits=splits, prepared=prepared)
