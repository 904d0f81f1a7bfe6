"""Where a study's checkpoints lie, if not in the home folder: its workers note it with the study, so that what reads
weights later finds them without being told."""

from __future__ import annotations

from pathlib import Path

from hpo.checkpoints.store import CheckpointStore, open_checkpoint_store
from hpo.storage.store import Store

ATTRIBUTE = "checkpoints"
"""The study's attribute, which optuna-dashboard shows, too."""


def record_location(store: Store, study_id: int, checkpoint_store: CheckpointStore, home: Path) -> None:
    """Notes where workers keep the study's checkpoints."""
    if checkpoint_store.place != str(home.resolve()) and recorded_location(store, study_id) != checkpoint_store.place:
        store.set_study_user_attr(study_id, ATTRIBUTE, checkpoint_store.place)


def recorded_location(store: Store, study_id: int) -> str | None:
    """None, too, where another program has written something else under the name."""
    place = store.get_study_user_attrs(study_id).get(ATTRIBUTE)
    return place if isinstance(place, str) else None


def other_location(store: Store, study_id: int, given: str | None, home: Path) -> CheckpointStore | None:
    """The place that was given, else the one that was noted; None: the home folder alone."""
    place = given or recorded_location(store, study_id)
    return open_checkpoint_store(place, home) if place else None
