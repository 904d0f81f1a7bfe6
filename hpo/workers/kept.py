"""Where a study's checkpoints lie, if not in the home folder: its workers note it with the study, so that what reads
weights later finds them without being told."""

from __future__ import annotations

from pathlib import Path

from hpo.storage.store import Store
from hpo.workers.depot import Depot, open_depot

ATTRIBUTE = "checkpoints"
"""The study's attribute, which optuna-dashboard shows, too."""


def note_place(store: Store, study_id: int, depot: Depot, home: Path) -> None:
    """Notes where workers keep the study's checkpoints."""
    if depot.place != str(home.resolve()) and noted_place(store, study_id) != depot.place:
        store.set_study_user_attr(study_id, ATTRIBUTE, depot.place)


def noted_place(store: Store, study_id: int) -> str | None:
    """None, too, where another program has written something else under the name."""
    place = store.get_study_user_attrs(study_id).get(ATTRIBUTE)
    return place if isinstance(place, str) else None


def kept_elsewhere(store: Store, study_id: int, given: str | None, home: Path) -> Depot | None:
    """The place that was given, else the one that was noted; None: the home folder alone."""
    place = given or noted_place(store, study_id)
    return open_depot(place, home) if place else None
