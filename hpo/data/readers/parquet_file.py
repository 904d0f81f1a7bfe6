"""Parquet files, by pyarrow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from hpo.data.readers.files import damaged, refuse_absent, wanting
from hpo.data.table import Table, refuse_duplicates, table_of
from hpo.errors import DataError
from hpo.printable import on_one_line
from hpo.studyfile.records import DataTable

ROW_LABELS = "__index_level_"
"""How pandas begins the names of columns with the labels of rows."""


def read_parquet(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table:
    """The table in a file. Cells have types of their own there, so none pass for another."""
    import pandas as pd

    refuse_absent(path)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise wanting(path, "a Parquet file", "pyarrow", "parquet") from None
    try:
        found = parquet.ParquetFile(path).read().replace_schema_metadata(None)  # pandas' own words about its types
        found.validate(full=True)
    except Exception as error:  # a damaged file can lead to any
        raise damaged(path, "Parquet", error) from None
    refuse_duplicates(found.column_names, str(path))
    found = found.drop_columns([name for name in found.column_names if name.startswith(ROW_LABELS)])
    columns = {}
    for field in found.schema:
        if pa.types.is_nested(field.type):
            raise DataError(
                f'{path}: column "{field.name}" holds lists or tables, and a cell must be one value. Write a column '
                "for each value, or leave it out of the file."
            )
        is_bytes = pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type)
        try:
            cells = found.column(field.name)
            columns[field.name] = (cells.cast(pa.string()) if is_bytes else cells).to_pandas()
        except Exception as error:  # bytes that are no text, times that no calendar has
            raise DataError(
                f'{path}: column "{field.name}", of type {field.type}, cannot be read: {on_one_line(str(error))}. '
                "Write it as text or numbers, or leave it out of the file."
            ) from None
    return table_of(pd.DataFrame(columns), path.name, str(path))
