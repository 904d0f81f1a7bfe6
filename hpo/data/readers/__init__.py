"""The ways in: one reader for each format of file. A reader gives a `Table`; what its columns mean is decided later.

A new format is a module here and a line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from hpo.data.readers.csv_file import read_csv
from hpo.data.table import Table
from hpo.studyfile.records import DataTable


class Reader(Protocol):
    """Reads a file. Columns `as_text` keep the text of their cells where it would pass for a number. Raises
    `DataError` saying what is wrong, where, and the way out."""

    def __call__(self, path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table: ...


READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".tsv": read_csv,
    ".tsv.gz": read_csv,
}
"""By the end of the file's name; a file of any other name is read as CSV."""


def read_file(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table:
    """What is in the file. Raises `DataError` where it cannot be read."""
    name = path.name.lower()
    reader = next((reader for end, reader in READERS.items() if name.endswith(end)), read_csv)
    return reader(path, data, as_text=as_text)
