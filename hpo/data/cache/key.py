"""The key of a data set in the cache: equal keys mean that reading would give the equal data set.

The content of the files counts, not their times: a file may be replaced without a change of its size or its time.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import stat
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from hpo import __version__
from hpo.data.catalogue.entries import CATALOGUE
from hpo.data.readers import READERS
from hpo.paths import OBJECT
from hpo.studyfile.custom import is_reference
from hpo.studyfile.records import DataTable

LARGEST = 1 << 30
"""Bytes of files in all, beyond which a data set is not kept."""
LATER = {
    *("validation", "folds", "repeats", "scaling", "categories", "vocabulary", "min_count", "max_tokens"),
}
"""Keys of `[data]` that are used after the data set is read. A key that is not named here belongs to reading."""
LIBRARIES = ("numpy", "pandas", "pyarrow", "openpyxl", "pillow")
"""What files are read with."""


def key_of(data: DataTable, base: Path) -> str | None:
    """The key of the data set that `data` names; relative paths start at `base`. None for what is not kept: a data set
    of the catalogue, what a function gives, an object of Python, and files that are absent, too large, or pipes."""
    if data.dataset in CATALOGUE or is_reference(data.dataset) or OBJECT in (data.dataset, data.test):
        return None
    sources = list(_sources(data, base))
    try:
        contents = _contents(sources)
    except OSError:  # reading says what is wrong
        return None
    if contents is None:
        return None
    settings = data.model_dump(mode="json", exclude=LATER | (set() if isinstance(data.test, str) else {"test"}))
    text = json.dumps([_reader(), settings, list(map(str, sources)), contents])
    return hashlib.sha256(text.encode()).hexdigest()


def _sources(data: DataTable, base: Path) -> Iterator[Path]:
    """The files and folders that the data are read from."""
    named = [data.dataset, *([data.test] if isinstance(data.test, str) else [])]
    for path in (base / os.path.expanduser(name) for name in named):
        yield path
        if data.target and data.target.lower().endswith(".npy") and (path.parent / data.target).exists():
            yield path.parent / data.target


def _contents(sources: list[Path]) -> list[tuple[str, str]] | None:
    """Name and SHA-256 of each file. None where they are too large, or not all plain files and folders of images."""
    files: list[tuple[str, Path]] = []
    for source in sources:
        if source.is_dir():
            if source.suffix.lower() in READERS:
                return None
            inside = [path for folder in _below(source) for path in (_below(folder) if folder.is_dir() else [folder])]
            files += [(str(path.relative_to(source.parent)), path) for path in inside]
        else:
            files.append((source.name, source))
    found = [path.stat() for _, path in files]
    known = all(stat.S_ISREG(each.st_mode) or stat.S_ISDIR(each.st_mode) for each in found)
    if not known or sum(each.st_size for each in found) > LARGEST:
        return None
    return [(name, "" if path.is_dir() else _digest(path)) for name, path in files]


def _below(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _reader() -> list[str]:
    """What reads the files: this package's code, and the versions of libraries."""
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parent.parent.rglob("*.py")):
        code.update(path.read_bytes())
    return [__version__, code.hexdigest(), platform.python_version(), *map(_version, LIBRARIES)]


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return ""
