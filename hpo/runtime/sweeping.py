"""What killed processes left, deleted by the next one that begins: studies whose deletion had begun, and checkpoints of
studies that have ended which no row names.

A file goes only if it lies in a folder that is known to be its study's own, and while nobody can begin to work on the
study: see `folders`. What a study that goes on left is swept by whoever goes on with it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from hpo.checkpoints.folders import ABOVE, is_checkpoint, own_folders
from hpo.checkpoints.location import other_location
from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.errors import InputError, MachineError, StudyStateError
from hpo.registry import deletion
from hpo.registry.studies import StudyRow, study_row
from hpo.runtime.deletion import delete_study
from hpo.storage.store import Store

log = logging.getLogger(__name__)


def sweep(store: Store, home: Path, checkpoints: str | None = None) -> None:
    """Ends deletions and deletes what is left of ended studies. `checkpoints`: where workers keep them, if not where
    they noted it. A place that cannot be reached is left for another time."""
    listed = _Listed(store, home, checkpoints)
    for name in deletion.ended_or_being_deleted(store):
        try:
            row = study_row(store, name)
            if row.is_being_deleted:
                delete_study(store, name, home, checkpoints)
                log.warning("the study %s was being deleted when a process was killed: its deletion is ended", name)
            else:
                for checkpoint_store in listed.checkpoint_stores(row):
                    _sweep_ended(store, row, checkpoint_store, listed.unnamed(checkpoint_store))
        except (InputError, MachineError) as error:
            log.info("what may be left of the study %s stays: %s", name, error)


def _sweep_ended(store: Store, row: StudyRow, checkpoint_store: CheckpointStore, unnamed: set[str]) -> None:
    own = own_folders(checkpoint_store, store, row, claim=False) if unnamed else None
    if own is None or not any(own.owns(path) for path in unnamed):
        return
    with deletion.idle(store, row.name) as (_, now):
        if now.created_at != row.created_at or now.finished_at is None:
            raise StudyStateError("it goes on")
        named = {checkpoint.path for checkpoint in store.checkpoints(row.study_id)}
        for path in unnamed - named:
            own.delete(path)


class _Listed:
    """The checkpoints in all places that no row names, each place listed once, before anything else is looked at."""

    def __init__(self, store: Store, home: Path, checkpoints: str | None) -> None:
        self.store = store
        self.home = home
        self.checkpoints = checkpoints
        self._unnamed: dict[str, set[str]] = {}

    def checkpoint_stores(self, row: StudyRow) -> Iterator[CheckpointStore]:
        home = Directory(self.home)
        yield home
        elsewhere = other_location(self.store, row.study_id, self.checkpoints, self.home)
        if elsewhere is not None and elsewhere.place != home.place:
            yield elsewhere

    def unnamed(self, checkpoint_store: CheckpointStore) -> set[str]:
        if checkpoint_store.place not in self._unnamed:
            self._unnamed[checkpoint_store.place] = set()  # asked once, even if it refuses
            files = {path for path in checkpoint_store.names(f"{ABOVE}/") if is_checkpoint(path)}
            self._unnamed[checkpoint_store.place] = files - deletion.named_files(self.store)
        return self._unnamed[checkpoint_store.place]
