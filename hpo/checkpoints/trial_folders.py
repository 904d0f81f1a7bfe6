"""The folder in which the trials of a training function have folders: `trials/NAME` of the home folder, or one with a
number in its name.

As with `checkpoints.folders`, a note beside `trials/NAME` says whose it is. A study of the same name in another
database, or one whose predecessor was deleted from elsewhere, has `trials/NAME-NUMBER`.
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from hpo import disk
from hpo.checkpoints.folders import number_of
from hpo.checkpoints.store import Directory
from hpo.errors import MachineError
from hpo.registry.studies import StudyRow
from hpo.storage.store import Store

ABOVE = "trials"


def trial_folder(store: Store, row: StudyRow, home: Path, *, claim: bool) -> Path:
    """Absolute path of the folder below which each trial of the study has one of its own. `claim`: a plain folder that
    does not exist becomes the study's. Nothing is read that a study of the same name has left."""
    plain, number = _plain(row, home), number_of(Directory(home), store, row)
    note = _note(plain)
    if claim and not plain.exists():
        with suppress(OSError):
            disk.write_new(note, number.encode())
    return (plain if _owner(note) == number else _numbered(plain, number)).resolve()


def delete_trial_folders(store: Store, row: StudyRow, home: Path) -> bool:
    """Deletes the folders of the study's trials in this home folder; whether there were any. Raises `MachineError`
    where a folder cannot be deleted."""
    plain, number = _plain(row, home), number_of(Directory(home), store, row)
    note, found = _note(plain), False
    mine = _owner(note) == number
    for folder in (plain, _numbered(plain, number)) if mine else (_numbered(plain, number),):
        if folder.is_dir() and not folder.is_symlink():
            found = True
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise MachineError(
                    f"The folder of trials {folder} cannot be deleted: {error.strerror} ({error.filename})."
                ) from error
    if mine:
        note.unlink(missing_ok=True)
    return found


def _plain(row: StudyRow, home: Path) -> Path:
    return disk.study_folder(home / ABOVE, row.name)


def _numbered(plain: Path, number: str) -> Path:
    return plain.with_name(f"{plain.name}-{number[:12]}")


def _note(plain: Path) -> Path:
    return plain.with_name(f".{plain.name}.owner")


def _owner(note: Path) -> str | None:
    try:
        return note.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
