"""Splits of the trials' own (`data.reshuffle`): each trial has a training and a validation part drawn by its number.

All trials have the same inputs: which columns there are, how many words get a token and how long texts are follows from
all examples outside the test part. What they hold is learnt from each trial's training part alone: figures of scaling,
which categories and words are known, the scale of the target.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from hpo.conventions import NEWEST
from hpo.data.dataset import PARTS, Dataset
from hpo.data.parts.splits import Splits, trial_splits
from hpo.data.parts.strata import IndexArray
from hpo.data.prepare import PreparedData, prepare_parts
from hpo.data.preprocessing.fit import Columns, Learner
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.errors import DataError
from hpo.studyfile.records import DataTable


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Reshuffled:
    """How a study's data are split for each trial, and what is learnt from a split. It can be pickled."""

    learner: Learner
    columns: Columns
    """Of all trials."""
    rest_idx: IndexArray
    """Examples outside the test part, ascending."""
    splits: Callable[[int], Splits]
    """The split of the trial of this number. Raises `DataError` where none can be drawn."""

    @classmethod
    def of(
        cls, dataset: Dataset, common: Splits, data: DataTable, seed: int, *, conventions: int = NEWEST
    ) -> Reshuffled:
        """`common`: the split that no trial has, with the test part of all; `seed`: the study's. Raises `DataError`
        where the data say themselves what to validate on."""
        if dataset.part_N is not None and (dataset.part_N == PARTS.index("validation")).any():
            raise DataError(
                f"data.reshuffle: {dataset.name} gives its own validation part, so there is none to draw for each "
                "trial. Leave data.reshuffle out, or mark these rows as train."
            )
        learner = Learner.of(dataset, data, conventions)
        rest_idx = np.setdiff1d(np.arange(dataset.size), common.test_idx)
        return cls(
            learner=learner,
            columns=learner.columns([rest_idx]),
            rest_idx=rest_idx,
            splits=trial_splits(dataset, data, seed, conventions=conventions),
        )

    def fit(self, train_idx: IndexArray) -> Preprocessing:
        """What these examples teach."""
        return self.learner.fit(train_idx, self.columns)

    def prepared(self, splits: Splits) -> PreparedData:
        """The parts of a split as arrays."""
        return prepare_parts(self.learner, splits, self.columns)
