"""A view of a study with several objectives that has the first one alone. Optuna refuses to prune by several: its
pruners ask a study for its one direction, and compare reports, which are of the first objective."""

from __future__ import annotations

from typing import Any, cast

import optuna
from optuna.storages import BaseStorage
from optuna.study import Study, StudyDirection


class _FirstObjective:
    """Optuna's storage contract, with the first direction of each study."""

    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._storage.get_study_directions(study_id)[:1]


def by_first_objective(study: Study) -> Study:
    """The study as its pruner sees it; the study itself where it has one objective."""
    if len(study.directions) == 1:
        return study
    storage = cast(BaseStorage, _FirstObjective(study._storage))
    return optuna.load_study(study_name=study.study_name, storage=storage, pruner=study.pruner)
