"""What an entry of the catalogue says of a data set, and where it comes from. Nothing is loaded or fetched here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hpo.data.dataset import DataKind, Task


@dataclass(frozen=True, kw_only=True, slots=True)
class File:
    """A file of a data set, known by its content."""

    path: str
    """In the wheel, or the name in the folder."""
    size: int
    """In bytes."""
    sha256: str

    @property
    def name(self) -> str:
        """The file's name where it is kept."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundled:
    """A data set that scikit-learn contains."""

    loader: str
    """Function of `sklearn.datasets`."""
    target: str
    """What its target is called."""

    @property
    def files(self) -> tuple[File, ...]:
        """None of its own."""
        return ()

    @property
    def origin(self) -> str:
        """In words."""
        return "scikit-learn"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """Files in a wheel of a package index. The package itself is never installed."""

    package: str
    version: str
    size: int
    """Of the wheel, in bytes."""
    files: tuple[File, ...]

    @property
    def origin(self) -> str:
        """In words."""
        return f"{self.package} {self.version} (PyPI)"


@dataclass(frozen=True, kw_only=True, slots=True)
class SystemPackage:
    """Files that a package of the operating system installs."""

    package: str
    folder: str
    """Where it installs them."""
    files: tuple[File, ...]
    """As they are unpacked; each may also be packed by gzip, with `.gz` at the end of its name."""

    @property
    def origin(self) -> str:
        """In words."""
        return f"{self.package} (Debian)"


@dataclass(frozen=True, kw_only=True, slots=True)
class CatalogueEntry:
    """A named data set."""

    kind: DataKind
    task: Task
    examples: int
    """Of all parts together."""
    shape: tuple[int, ...]
    """Of an example: (columns,), (channels, height, width) or (longest, channels); () for a text."""
    classes: int = 0
    """0 for regression."""
    summary: str
    licence: str
    """Of the data."""
    source: Bundled | Wheel | SystemPackage
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `[data]` with which its files are read, where the study gives none of its own. `test` names the file
    with its test part; the examples are in the first file of the source."""
    target_name: str | None = None
    """What the target is called, where the file has no name for it."""
    class_names: tuple[str, ...] = ()
    """In the order of the numbers that stand for them in the file."""
    distinct: str | None = None
    """Column of texts; rows where it is empty, or as in an earlier row, are left out."""
