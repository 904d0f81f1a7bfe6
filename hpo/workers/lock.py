"""The lock of a study in a home folder: the system releases it when its process is gone, however that ended.

Its file says which process has, or had, the study, so that the next one knows who is no more.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hpo.errors import MachineError, StudyStateError


@contextmanager
def exclusive(folder: Path, name: str) -> Iterator[str | None]:
    """Holds the study's folder for this process, which the database knows by `name`. Yields the name of the process
    that held it last, if there was one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = _file(folder).open("a+")
    except OSError as error:
        raise MachineError(
            f"{folder}: cannot be written ({error.strerror}). "
            "Choose another folder with --home, or change its permissions."
        ) from error
    with file:
        locked = _lock(file.fileno())
        file.seek(0)
        pid, _, last = file.read().strip().partition("\n")
        if not locked:
            raise StudyStateError(
                f"the study {folder.name!r} is already being run by process {pid or 'unknown'} "
                f"(folder {folder}). Wait for it, or stop it first."
            )
        file.truncate(0)
        file.write(f"{os.getpid()}\n{name}")
        file.flush()
        yield last or None


def last_holder(folder: Path) -> str | None:
    """The name of the process that held the study's folder last, if it is no more."""
    try:
        file = _file(folder).open()
    except OSError:
        return None
    with file:
        return (file.read().partition("\n")[2] or None) if _lock(file.fileno()) else None


def _file(folder: Path) -> Path:
    return folder / ".lock"


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
