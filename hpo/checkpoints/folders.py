"""Which folder of a place for checkpoints is a study's own: `checkpoints/NAME`, or one with a number in its name.

Several databases may share a place and have studies of one name. The first to write into `checkpoints/NAME` puts a note
of whose it is beside it; any other study of that name writes into `checkpoints/NAME-NUMBER`, where the number follows
from its database and its registration. A study deletes files of its own folders alone. What lay in `checkpoints/NAME`
before the note, and is named by no row of the study, may belong to anyone: it stays.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath

from hpo.checkpoints.store import CheckpointStore, Directory
from hpo.errors import MachineError
from hpo.paths import file_name
from hpo.registry.studies import StudyRow
from hpo.storage.identity import identity
from hpo.storage.store import Store

ABOVE = "checkpoints"


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnFolders:
    """A study's own folders in one place."""

    checkpoint_store: CheckpointStore
    plain: str | None
    """`checkpoints/NAME`; None where that is another study's."""
    apart: str
    """`checkpoints/NAME-NUMBER`, which nobody else has."""
    strange: frozenset[str] = frozenset()
    """Files that were in the plain folder before it was the study's."""

    @property
    def name(self) -> str:
        """Of the folder for new files, below the place."""
        return self.plain or self.apart

    def owns(self, path: str) -> bool:
        """Whether a file that the database or a listing names is the study's to delete."""
        return str(PurePosixPath(path).parent) in (self.plain, self.apart) and path not in self.strange

    def files(self) -> set[str]:
        """The checkpoints that lie there, also those that were being written when their process was killed."""
        listed = [
            path for folder in (self.plain, self.apart) if folder for path in self.checkpoint_store.names(f"{folder}/")
        ]
        return {path for path in listed if is_checkpoint(path) and self.owns(path)}

    def delete(self, path: str) -> None:
        """Deletes a file if it is the study's own."""
        if self.owns(path):
            self.checkpoint_store.delete(path)

    def give_up(self) -> None:
        """Deletes the note and folders that are empty."""
        if self.plain is not None:
            self.checkpoint_store.delete(_note(self.plain))
        for folder in (self.plain, self.apart):
            if folder:
                self.checkpoint_store.tidy(folder)


def own_folders(checkpoint_store: CheckpointStore, store: Store, row: StudyRow, *, claim: bool) -> OwnFolders:
    """A study's own folders. With `claim`, a plain folder that is nobody's becomes the study's; else only what the
    study's rows name is its own there. A place that refuses leaves the study the folder that has its number."""
    named = {checkpoint.path for checkpoint in store.checkpoints(row.study_id)}
    plain = f"{ABOVE}/{row.name}" if any(_is_in(path, row.name) for path in named) else f"{ABOVE}/{file_name(row.name)}"
    number = _number(checkpoint_store, store, row)
    own = OwnFolders(checkpoint_store=checkpoint_store, plain=None, apart=f"{plain}-{number[:12]}")
    note = _note(plain)
    with suppress(MachineError):
        if note not in checkpoint_store.names(note):
            strange = [
                path for path in checkpoint_store.names(f"{plain}/") if is_checkpoint(path) and path not in named
            ]
            if not claim:
                return OwnFolders(
                    checkpoint_store=checkpoint_store, plain=plain, apart=own.apart, strange=frozenset(strange)
                )
            text = json.dumps({"study": row.name, "number": number, "not of it": strange}, indent=1)
            checkpoint_store.put_new(note, text.encode())
        owner, others = _read(checkpoint_store.get(note))
        if owner == number:
            return OwnFolders(
                checkpoint_store=checkpoint_store, plain=plain, apart=own.apart, strange=frozenset(others)
            )
    return own


def is_checkpoint(path: str) -> bool:
    """Also one that was being written when its process was killed."""
    return ".pt" in PurePosixPath(path).suffixes


def _is_in(path: str, name: str) -> bool:
    return PurePosixPath(path).parts[:-1] == (ABOVE, name)


def _note(folder: str) -> str:
    above, _, name = folder.rpartition("/")
    return f"{above}/.{name}.owner"


def _number(checkpoint_store: CheckpointStore, store: Store, row: StudyRow) -> str:
    root = checkpoint_store.root if isinstance(checkpoint_store, Directory) else None
    told = (identity(store, root), row.name, row.created_at.isoformat(), row.seed, row.dataset_fingerprint)
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _read(data: bytes | None) -> tuple[str | None, Collection[str]]:
    """Whose a folder is, and what in it is not. Nobody's who could be told, where the note cannot be read."""
    try:
        note = json.loads(data or b"")
        return str(note["number"]), [str(path) for path in note["not of it"]]
    except (ValueError, KeyError, TypeError):
        return None, ()
