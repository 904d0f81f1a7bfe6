"""Writing files and folders. A file is written completely or not at all, and only users who may enter its folder can
read it.

A file is written under an unpredictable temporary name, flushed to the disk and renamed. The temporary file is locked
while it is written, so that one without a lock is known to be left by a process that was killed.

A home folder that this program makes is accessible to its owner alone. In a folder that group or others may enter, the
mode of new files follows the umask and the folder's set-group-id bit; in any other folder, new files are accessible to
their owner alone.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

from hpo.paths import digest, file_name

if sys.platform != "win32":
    import fcntl

SHOWN = 100
"""Characters of a file's name that its temporary name repeats."""
NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
"""Refuses to open a symbolic link; 0 on systems without this flag."""


def make_home(home: Path) -> None:
    """Makes a home folder that its owner alone may enter. A folder that exists already keeps its mode."""
    if not home.is_dir():
        home.parent.mkdir(parents=True, exist_ok=True)
        _make(home, 0o700)


def make_folder(folder: Path) -> None:
    """Makes a folder and the missing folders above it. Each is private if the folder above it is."""
    if not folder.is_dir():
        make_folder(folder.parent)
        _make(folder, 0o700 if is_private(folder.parent) else 0o777)


def _make(folder: Path, mode: int) -> None:
    try:
        folder.mkdir(mode)
    except FileExistsError:
        if not folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from None


def is_private(folder: Path) -> bool:
    """Whether only its owner may enter or list a folder."""
    return not folder.stat().st_mode & 0o077


def mode_in(folder: Path) -> int:
    """The mode of a new file in a folder, before the umask is applied."""
    return 0o600 if is_private(folder) else 0o666


def study_folder(parent: Path, name: str) -> Path:
    """A study's folder below `parent`. A folder that an earlier version made under the study's plain name is used
    further. On a file system that ignores case, studies whose names differ by case alone get different folders."""
    try:
        there = os.listdir(parent)
    except OSError:
        there = []
    safe = file_name(name)
    if name in there or safe in there:
        return parent / (name if name in there else safe)
    return parent / (f"_{safe}-{digest(name)}_" if os.path.lexists(parent / safe) else safe)


def create_empty(path: Path) -> None:
    """Makes an empty file, unless the file exists."""
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode_in(path.parent)))


def write(path: Path, data: bytes) -> None:
    """Replaces a file: a reader sees the old one or the new one, never a part."""
    with replacing(path) as file:
        file.write(data)


def write_new(path: Path, data: bytes) -> None:
    """Writes a file, unless it exists. A reader sees no file or the complete one."""
    make_folder(path.parent)
    name, file = _new(path)
    try:
        with file:
            file.write(data)
        with suppress(FileExistsError):
            os.link(name, path)
    finally:
        name.unlink()


def write_all(folder: Path, files: Mapping[str, bytes], gone: Iterable[Path] = ()) -> None:
    """Replaces files of a folder, in this order. All new contents are on the disk before the files in `gone` are
    deleted and the first file is replaced."""
    with ExitStack() as stack:
        for name, data in reversed(list(files.items())):  # the stack replaces the file that was entered last first
            file = stack.enter_context(replacing(folder / name))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        for path in gone:
            path.unlink()


def save(path: Path, data: bytes) -> None:
    """Writes a file that the user named. A symbolic link is followed; a pipe or a device is written to, not
    replaced."""
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        target.write_bytes(data)
    else:
        write(target, data)


@contextmanager
def replacing(path: Path, *, sweeps: bool = True) -> Iterator[BinaryIO]:
    """Yields a temporary file, which replaces `path` when the block ends, or is deleted if the block raises. Its name
    is `file.name`. `sweeps`: temporary files of `path` that killed processes left are deleted first."""
    make_folder(path.parent)
    with suppress(FileNotFoundError):
        path.lstat()  # raises for a name that is too long, before anything is written
    if sweeps:
        delete_leftovers(path)
    name, file = _new(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            if sys.platform != "win32":
                name.replace(path)  # while it is locked
        if sys.platform == "win32":
            name.replace(path)  # an open file cannot be renamed there
    except BaseException:
        with suppress(OSError):
            name.unlink()
        raise


def delete_leftovers(path: Path) -> None:
    """Deletes temporary files of `path` that killed processes left, those of earlier versions included."""
    left = re.compile(rf"\.{re.escape(path.name[:SHOWN])}\.([0-9a-f]{{16}}\.tmp|\d+)")
    with suppress(OSError):
        for entry in os.scandir(path.parent):
            if left.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                _delete_unlocked(entry.path)


def _delete_unlocked(path: str) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | NO_FOLLOW)
        try:
            if lock(descriptor):
                os.unlink(path)
        finally:
            os.close(descriptor)


def _new(path: Path) -> tuple[Path, BinaryIO]:
    while True:
        name = path.with_name(f".{path.name[:SHOWN]}.{secrets.token_hex(8)}.tmp")
        file = open(name, "w+b", opener=partial(_create, mode_in(path.parent)))  # noqa: SIM115 the caller closes it
        lock(file.fileno())
        if still_has_name(name, file.fileno()):
            return name, file
        file.close()  # another process deleted it before it was locked


def _create(mode: int, path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | NO_FOLLOW, mode)


def still_has_name(path: Path, descriptor: int) -> bool:
    """Whether an open file still has this name."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def delete_unused(path: Path) -> None:
    """Deletes a file unless a process has locked it."""
    _delete_unlocked(str(path))


def lock(descriptor: int, *, shared: bool = False) -> bool:
    """Locks an open file for this process; `shared`: with others that do so, too. False if another process has locked
    it, or the system has no such locks."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
