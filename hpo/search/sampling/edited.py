"""The trials of an edited study as samplers see them, by `hpo.space.present`. Writes go to the storage itself."""

from __future__ import annotations

from collections.abc import Container
from typing import Any, cast

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo.space.present import PresentTrials


class _Present:
    """Optuna's storage contract, whose method that lists trials returns them with the present parameters."""

    def __init__(self, storage: BaseStorage, present: PresentTrials, *, whole: bool) -> None:
        self.unedited = storage
        self._present = present
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unedited, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        found = self.unedited.get_all_trials(study_id, deepcopy=deepcopy, states=states)
        seen = [self._present.of(trial) for trial in found]
        return [trial for trial, inside in seen if inside or not self._whole]


def present_trials_of(storage: BaseStorage, present: PresentTrials, *, whole: bool) -> BaseStorage:
    """The storage with the trials of an edited study as samplers see them. `whole`: without trials that lie outside the
    present ranges; else they are there without the parameters that do."""
    return cast(BaseStorage, _Present(storage, present, whole=whole))


def unedited(storage: BaseStorage) -> BaseStorage:
    """The storage below such a view."""
    return cast(BaseStorage, getattr(storage, "unedited", storage))
