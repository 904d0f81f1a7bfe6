"""The folders of a study in a checkpoint store: `checkpoints/NAME`, or one with a number in its name.

Several databases may share a store and have studies of the same name. The first study to write into `checkpoints/NAME`
puts a note beside the folder that names it as the owner; any other study of that name writes into
`checkpoints/NAME-NUMBER`, where the number is computed from its database and its registration. A study deletes files of
its own folders only. Files that were in `checkpoints/NAME` before the note, and that no row of the study names, may
belong to another study: they are never deleted.
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
    """A study's own folders in one checkpoint store."""

    checkpoint_store: CheckpointStore
    plain: str | None
    """`checkpoints/NAME`; None if another study owns it."""
    numbered: str
    """`checkpoints/NAME-NUMBER`, which no other study uses."""
    foreign: frozenset[str] = frozenset()
    """Files that were in the plain folder before the study owned it."""

    @property
    def name(self) -> str:
        """Name of the folder for new files."""
        return self.plain or self.numbered

    def owns(self, path: str) -> bool:
        """Whether a file belongs to the study, which may then delete it."""
        return str(PurePosixPath(path).parent) in (self.plain, self.numbered) and path not in self.foreign

    def files(self) -> set[str]:
        """The study's checkpoints in these folders, including incomplete files of processes that were killed."""
        listed = [
            path
            for folder in (self.plain, self.numbered)
            if folder
            for path in self.checkpoint_store.names(f"{folder}/")
        ]
        return {path for path in listed if is_checkpoint(path) and self.owns(path)}

    def delete(self, path: str) -> None:
        """Deletes a file if it belongs to the study."""
        if self.owns(path):
            self.checkpoint_store.delete(path)

    def give_up(self) -> None:
        """Ends the study's ownership: deletes the note, and the folders that are empty."""
        if self.plain is not None:
            self.checkpoint_store.delete(_note(self.plain))
        for folder in (self.plain, self.numbered):
            if folder:
                self.checkpoint_store.tidy(folder)


def own_folders(checkpoint_store: CheckpointStore, store: Store, row: StudyRow, *, claim: bool) -> OwnFolders:
    """A study's own folders. In a plain folder without owner, the study becomes the owner if `claim`; else it owns only
    the files there that its rows name. Where the store refuses access, the study has its numbered folder alone."""
    named = {checkpoint.path for checkpoint in store.checkpoints(row.study_id)}
    plain = f"{ABOVE}/{row.name}" if any(_is_in(path, row.name) for path in named) else f"{ABOVE}/{file_name(row.name)}"
    number = number_of(checkpoint_store, store, row)
    own = OwnFolders(checkpoint_store=checkpoint_store, plain=None, numbered=f"{plain}-{number[:12]}")
    note = _note(plain)
    with suppress(MachineError):
        if note not in checkpoint_store.names(note):
            foreign = [
                path for path in checkpoint_store.names(f"{plain}/") if is_checkpoint(path) and path not in named
            ]
            if not claim:
                return OwnFolders(
                    checkpoint_store=checkpoint_store, plain=plain, numbered=own.numbered, foreign=frozenset(foreign)
                )
            text = json.dumps({"study": row.name, "number": number, "not of it": foreign}, indent=1)
            checkpoint_store.put_new(note, text.encode())
        owner, others = _read(checkpoint_store.get(note))
        if owner == number:
            return OwnFolders(
                checkpoint_store=checkpoint_store, plain=plain, numbered=own.numbered, foreign=frozenset(others)
            )
    return own


def is_checkpoint(path: str) -> bool:
    """Whether a file is a checkpoint, complete or left incomplete by a process that was killed."""
    return ".pt" in PurePosixPath(path).suffixes


def _is_in(path: str, name: str) -> bool:
    return PurePosixPath(path).parts[:-1] == (ABOVE, name)


def _note(folder: str) -> str:
    """Path of the note that names the owner of a folder."""
    above, _, name = folder.rpartition("/")
    return f"{above}/.{name}.owner"


def number_of(checkpoint_store: CheckpointStore, store: Store, row: StudyRow) -> str:
    """The study's number: a hash of its database and its registration."""
    root = checkpoint_store.root if isinstance(checkpoint_store, Directory) else None
    facts = (identity(store, root), row.name, row.created_at.isoformat(), row.seed, row.dataset_fingerprint)
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()


def _read(data: bytes | None) -> tuple[str | None, Collection[str]]:
    """The owner's number, and the files in the folder that are not its own; None and no files if the note cannot be
    read."""
    try:
        note = json.loads(data or b"")
        return str(note["number"]), [str(path) for path in note["not of it"]]
    except (ValueError, KeyError, TypeError):
        return None, ()
