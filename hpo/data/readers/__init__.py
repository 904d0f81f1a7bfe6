"""The ways in: one reader for each format. A reader gives a `Table` or `Arrays`; what these mean is decided later.

A new format of file is a module here and a line in `READERS`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from hpo.data.arrays import Arrays
from hpo.data.readers.csv_file import read_csv
from hpo.data.readers.excel_file import read_excel
from hpo.data.readers.function import call
from hpo.data.readers.idx_file import read_idx
from hpo.data.readers.image_folder import read_images
from hpo.data.readers.json_lines import read_json_lines
from hpo.data.readers.numpy_file import read_npy, read_npz
from hpo.data.readers.parquet_file import read_parquet
from hpo.data.readers.ts_file import read_ts
from hpo.data.table import Table
from hpo.studyfile.custom import is_reference
from hpo.studyfile.records import DataTable


class Reader(Protocol):
    """Reads a file. Columns `as_text` keep the text of their cells where it would pass for a number. Raises
    `DataError` saying what is wrong, where, and the way out."""

    def __call__(self, path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table | Arrays: ...


READERS: dict[str, Reader] = {
    ".csv": read_csv,
    ".csv.gz": read_csv,
    ".tsv": read_csv,
    ".tsv.gz": read_csv,
    ".parquet": read_parquet,
    ".pq": read_parquet,
    ".parquet.brotli": read_parquet,
    ".xlsx": read_excel,
    ".jsonl": read_json_lines,
    ".jsonl.gz": read_json_lines,
    ".ndjson": read_json_lines,
    ".ndjson.gz": read_json_lines,
    ".npy": read_npy,
    ".npz": read_npz,
    ".ts": read_ts,
    "idx3-ubyte": read_idx,
    "idx3-ubyte.gz": read_idx,
}
"""By the end of the file's name; a file of any other name is read as CSV."""


def read_source(
    named: str, data: DataTable, base: Path, *, as_text: Iterable[str] = (), key: str = "data.dataset"
) -> Table | Arrays:
    """What a function gives, or what is in a folder or a file, relative to `base`; `key`: where the study names it.
    Raises `DataError` where it cannot be read."""
    if is_reference(named):
        return call(named, base, key)
    path = base / os.path.expanduser(named)
    is_folder = os.path.isdir(path) and path.suffix.lower() not in READERS
    return read_images(path, data) if is_folder else read_file(path, data, as_text=as_text)


def read_file(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table | Arrays:
    """What is in the file. Raises `DataError` where it cannot be read."""
    name = path.name.lower()
    reader = next((reader for end, reader in READERS.items() if name.endswith(end)), read_csv)
    return reader(path, data, as_text=as_text)
