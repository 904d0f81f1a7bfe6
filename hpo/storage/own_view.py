"""A study as its search sees it: of all trials, those of this program. What is written goes to the storage itself."""

from __future__ import annotations

from collections.abc import Container
from copy import deepcopy as deep_copy
from typing import Any, cast

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo.storage.store import Store


class _OwnTrials:
    """Optuna's storage contract, whose questions after trials are answered with our own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        found = self._store.own_trials(study_id, states)
        return deep_copy(found) if deepcopy else found

    def get_n_trials(self, study_id: int, state: tuple[TrialState, ...] | TrialState | None = None) -> int:
        return len(self._store.own_trials(study_id, (state,) if isinstance(state, TrialState) else state))

    def get_best_trial(self, study_id: int) -> FrozenTrial:
        return BaseStorage.get_best_trial(cast(BaseStorage, self), study_id)


def own_trials_of(store: Store) -> BaseStorage:
    """The store, as samplers and pruners may see it: values of other programs' trials must not steer a search that is
    to be repeatable."""
    return cast(BaseStorage, _OwnTrials(store))
