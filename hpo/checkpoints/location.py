"""The checkpoint store of a study's workers, if it is not the home folder. Workers record it as an attribute of the
study, so that commands that read weights find them."""

from __future__ import annotations

from pathlib import Path

from hpo.checkpoints.store import CheckpointStore, open_checkpoint_store
from hpo.storage.store import Store

ATTRIBUTE = "checkpoints"
"""Name of the study's attribute; optuna-dashboard shows it."""


def record_location(store: Store, study_id: int, checkpoint_store: CheckpointStore, home: Path) -> None:
    """Records where workers keep the study's checkpoints, unless that is the home folder."""
    if checkpoint_store.place != str(home.resolve()) and recorded_location(store, study_id) != checkpoint_store.place:
        store.set_study_user_attr(study_id, ATTRIBUTE, checkpoint_store.place)


def recorded_location(store: Store, study_id: int) -> str | None:
    """The recorded place; None if there is none, or if another program has stored something else under the name."""
    place = store.get_study_user_attrs(study_id).get(ATTRIBUTE)
    return place if isinstance(place, str) else None


def other_location(store: Store, study_id: int, given: str | None, home: Path) -> CheckpointStore | None:
    """The checkpoint store at the given place, else at the recorded one; None: the home folder is the only one."""
    place = given or recorded_location(store, study_id)
    return open_checkpoint_store(place, home) if place else None
