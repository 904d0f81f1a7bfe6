"""The lock on a study's folder in a home folder. The operating system releases it when the process ends, even if the
process was killed.

The lock file names the process that holds, or last held, the study, so that the next process can take over its claims.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from hpo import disk
from hpo.errors import MachineError, StudyStateError


@contextmanager
def exclusive(folder: Path, name: str, *, keep: bool = True) -> Iterator[str | None]:
    """Holds the lock on a study's folder. `name`: name of this process in the database. Yields the name of the process
    that held the lock last, if there was one. Unless `keep`, the lock file is deleted at the end, and the folder if it
    is empty then."""
    file, locked = _opened(folder)
    with file:
        pid, _, last = file.read().strip().partition("\n")
        if not locked:
            raise StudyStateError(
                f"the study {folder.name!r} is already being run by process {pid or 'unknown'} "
                f"(folder {folder}). Wait for it, or stop it first."
            )
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n{name}")
        file.flush()
        yield last or None
        if not keep:
            with suppress(OSError):
                _file(folder).unlink()  # while it is locked: `_opened` of another process detects the deletion
                folder.rmdir()


def last_holder(folder: Path) -> str | None:
    """The name of the process that held the lock last, if it has ended."""
    try:
        file = _open(folder, os.O_RDONLY)
    except OSError:
        return None
    with file:
        return (file.read().partition("\n")[2] or None) if disk.lock(file.fileno()) else None


def _opened(folder: Path) -> tuple[TextIO, bool]:
    """The lock's file, and whether it is locked now."""
    try:
        while True:
            disk.make_folder(folder)
            with suppress(FileNotFoundError):  # the folder has just been deleted
                file = _open(folder, os.O_RDWR | os.O_CREAT)
                locked = disk.lock(file.fileno())
                if not locked or disk.still_has_name(_file(folder), file.fileno()):
                    return file, locked
                file.close()  # the lock file of a study that has just been deleted
    except OSError as error:
        raise MachineError(
            f"{folder}: cannot be written ({error.strerror}). "
            "Choose another folder with --home, or change its permissions."
        ) from error


def _open(folder: Path, flags: int) -> TextIO:
    descriptor = os.open(_file(folder), flags | disk.NO_FOLLOW, disk.mode_in(folder))
    return os.fdopen(descriptor, "r+" if flags & os.O_RDWR else "r", encoding="utf-8")


def _file(folder: Path) -> Path:
    return folder / ".lock"
