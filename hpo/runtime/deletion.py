"""Deleting a study with its checkpoints, in the home folder and where workers keep them, and with the folders of a
training function's trials in the home folder."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from hpo import disk
from hpo.checkpoints.folder_lock import exclusive
from hpo.checkpoints.folders import ABOVE, OwnFolders, own_folders
from hpo.checkpoints.location import other_location
from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.checkpoints.trial_folders import delete_trial_folders
from hpo.errors import MachineError
from hpo.registry import deletion
from hpo.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class Deletion:
    """What was done with the checkpoints of a deleted study."""

    files: int
    """Number of files that were deleted."""
    missing: int
    """Number of files that the database names and that are in none of the places."""
    strange: tuple[str, ...]
    """Files in its folders that may belong to another study and were not deleted: place and name."""
    places: tuple[str, ...]
    """Where files were looked for."""
    refusals: tuple[str, ...]
    """Reasons why some files could not be deleted."""
    trial_folders: bool
    """Whether folders of a training function's trials were deleted."""


def delete_study(store: Store, name: str, home: Path, checkpoints: str | None = None) -> Deletion:
    """Deletes the checkpoints of a study that nobody works on, then the study. A deletion that a killed process began
    is completed by the next call. `checkpoints`: where workers kept them, if not at the recorded location."""
    with _locked(disk.study_folder(home / ABOVE, name)) as last:
        row = deletion.begin_deletion(store, name, dead=last)
        checkpoint_stores: list[CheckpointStore] = [Directory(home)]
        elsewhere = other_location(store, row.study_id, checkpoints, home)
        if elsewhere is not None and elsewhere.place != checkpoint_stores[0].place:
            checkpoint_stores.append(elsewhere)
        owns = [own_folders(checkpoint_store, store, row, claim=False) for checkpoint_store in checkpoint_stores]
        there: set[str] = set()
        refusals: list[str] = []
        for own in owns:
            there |= _delete_files(own, refusals)
        try:
            trial_folders = delete_trial_folders(store, row, home)
        except MachineError as error:
            trial_folders = False
            refusals.append(str(error))
        named = deletion.delete_study(store, name, dead=last)
    strange = [f"{own.checkpoint_store.place}/{path}" for own in owns for path in sorted(own.foreign)]
    return Deletion(
        files=len(there),
        missing=len(named - there),
        strange=tuple(strange),
        places=tuple(checkpoint_store.place for checkpoint_store in checkpoint_stores),
        refusals=tuple(refusals),
        trial_folders=trial_folders,
    )


def _locked(folder: Path) -> AbstractContextManager[str | None]:
    """Locks a folder against `hpo run`; a folder that does not exist needs no lock."""
    return exclusive(folder, "", keep=False) if folder.is_dir() else nullcontext()


def _delete_files(own: OwnFolders, refusals: list[str]) -> set[str]:
    """Deletes the study's files in one place and returns them; the reason of a failure is added to `refusals`."""
    try:
        files = own.files()
        for path in sorted(files):
            own.delete(path)
        own.give_up()
    except MachineError as error:
        refusals.append(str(error))
        return set()
    return files
