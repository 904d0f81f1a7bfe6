"""A view of the store that shows only trials of this program, for samplers and pruners. Writes go to the store
itself."""

from __future__ import annotations

from collections.abc import Container
from copy import deepcopy as deep_copy
from typing import Any, cast

from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from hpo.storage.store import Store


class _OwnTrials:
    """Optuna's storage contract, whose methods that list trials return those of this program."""

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
    """The store without trials of other programs: their values must not influence a search that is to be repeatable."""
    return cast(BaseStorage, _OwnTrials(store))
