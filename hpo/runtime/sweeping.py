"""Deleting what killed processes left: studies whose deletion had begun, and checkpoints of ended studies that no row
names. `hpo run`, `submit`, `worker` and `delete` do so at their start.

A file is deleted only if its folder is known to belong to the study (see `checkpoints.folders`), and while the study is
locked, so that nobody can begin to work on it. Leftovers of an unfinished study are deleted by the process that
continues it.
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
    """Completes deletions, and deletes unnamed checkpoints of ended studies. `checkpoints`: where workers keep them, if
    not at the recorded location. Places that cannot be reached are skipped."""
    files = _Unnamed(store, home, checkpoints)
    for name in deletion.ended_or_being_deleted(store):
        try:
            row = study_row(store, name)
            if row.facts.is_being_deleted:
                delete_study(store, name, home, checkpoints)
                log.warning("the study %s was being deleted when a process was killed: its deletion is ended", name)
            else:
                for checkpoint_store in files.checkpoint_stores(row):
                    _sweep_ended(store, row, checkpoint_store, files.of(checkpoint_store))
        except (InputError, MachineError) as error:
            log.info("what may be left of the study %s stays: %s", name, error)


def _sweep_ended(store: Store, row: StudyRow, checkpoint_store: CheckpointStore, unnamed: set[str]) -> None:
    """Deletes those of the unnamed files that belong to an ended study."""
    own = own_folders(checkpoint_store, store, row, claim=False) if unnamed else None
    if own is None or not any(own.owns(path) for path in unnamed):
        return
    with deletion.idle(store, row.name) as (_, now):
        if now.created_at != row.created_at or now.finished_at is None:
            raise StudyStateError("it goes on")
        named = {checkpoint.path for checkpoint in store.checkpoints(row.study_id)}
        for path in unnamed - named:
            own.delete(path)


class _Unnamed:
    """Checkpoint files that no row names. Each place is listed once, before the rows are read, so that a file which
    is saved and named meanwhile is not among them."""

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

    def of(self, checkpoint_store: CheckpointStore) -> set[str]:
        if checkpoint_store.place not in self._unnamed:
            self._unnamed[checkpoint_store.place] = set()  # listed once, even if that fails
            files = {path for path in checkpoint_store.names(f"{ABOVE}/") if is_checkpoint(path)}
            self._unnamed[checkpoint_store.place] = files - deletion.named_files(self.store)
        return self._unnamed[checkpoint_store.place]
