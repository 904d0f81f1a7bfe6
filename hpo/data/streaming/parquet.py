"""Tables in Parquet files: columns that are needed whole, and the others as one memory-mapped array."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hpo import disk
from hpo.data.dataset import suggestion
from hpo.data.readers.files import damaged, refuse_absent, wanting
from hpo.data.readers.parquet_file import ROW_LABELS
from hpo.data.streaming.row_file import make_room, mapped
from hpo.data.table import refuse_duplicates
from hpo.errors import DataError, MachineError
from hpo.printable import listed
from hpo.studyfile.records import DataTable
from hpo.studyfile.tree import toml_key

if TYPE_CHECKING:
    from pandas import DataFrame

LEFT_OUT = ("identifier", "ignored")
NUMBERS = 2**20
"""Numbers that are converted at once."""
NARROW = ("bool", "int8", "uint8", "int16", "uint16", "halffloat", "float")
"""Types whose numbers float32 holds exactly."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Source:
    """An open file."""

    path: Path
    file: Any
    names: tuple[str, ...]
    """Columns that are features, all of numbers."""

    def frame(self, names: list[str]) -> DataFrame:
        """These columns, in memory."""
        found: DataFrame = self.file.read(columns=names).replace_schema_metadata(None).to_pandas()
        return found

    def numbers(self, folder: Path) -> NDArray[Any]:
        """[N, F] the features, memory-mapped from a file in the folder, which is written unless it is there."""
        types = [str(self.file.schema_arrow.field(name).type) for name in self.names]
        dtype = np.dtype(np.float32 if all(name in NARROW for name in types) else np.float64)
        shape = self.file.metadata.num_rows, len(self.names)
        with self.path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        key = hashlib.sha256(repr((content, self.names, dtype.str)).encode()).hexdigest()
        copy = folder / f"{key}.numbers"
        size = shape[0] * shape[1] * dtype.itemsize
        if not copy.is_file() or copy.stat().st_size != size:
            make_room(folder, size)
            self._convert(copy, dtype)
        return mapped(copy, dtype, shape)

    def _convert(self, copy: Path, dtype: np.dtype[Any]) -> None:
        import pyarrow as pa

        rows = max(1, NUMBERS // len(self.names))
        kind = pa.float32() if dtype == np.float32 else pa.float64()
        try:
            with disk.replacing(copy) as out:
                for batch in self.file.iter_batches(batch_size=rows, columns=list(self.names), use_threads=False):
                    columns = [batch.column(name).cast(kind).to_numpy(zero_copy_only=False) for name in self.names]
                    out.write(np.column_stack(columns).astype(dtype, copy=False).data)
        except pa.ArrowException as error:
            raise damaged(self.path, "Parquet", error) from None
        except OSError as error:
            raise MachineError(
                f"{copy}: streamed data cannot be written there: {error.strerror}. Choose another folder with --home "
                "(or HPO_HOME)."
            ) from None


def opened(path: Path, data: DataTable) -> Source:
    """The file, with the columns that are features. Raises `DataError` where one holds no numbers."""
    refuse_absent(path)
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        raise wanting(path, "a Parquet file", "pyarrow", "parquet") from None
    try:
        file = parquet.ParquetFile(path, pre_buffer=False, buffer_size=2**20)
    except Exception as error:  # a damaged file can lead to any
        raise damaged(path, "Parquet", error) from None
    schema = file.schema_arrow
    refuse_duplicates(schema.names, str(path))
    if strangers := [name for name in data.columns if name not in schema.names]:
        raise DataError(f"data.columns: {path} has no column {listed(strangers)}. Columns: {listed(schema.names)}.")
    _refuse_absent_keys(path, schema.names, data)
    keys = (data.target, data.split, data.group)
    names = []
    for field in schema:
        if field.name in keys or data.columns.get(field.name) in LEFT_OUT or field.name.startswith(ROW_LABELS):
            continue
        kind, declared = field.type, data.columns.get(field.name, "numeric")
        is_number = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
        if declared != "numeric" or not (is_number or pa.types.is_decimal(kind)):
            said = f"of type {kind}" if declared == "numeric" else declared
            raise DataError(
                f'{path}: column "{field.name}" is {said}, and data.stream reads numbers alone. Write it as '
                f'numbers, or leave it out: `[data.columns] {toml_key(field.name)} = "ignored"`.'
            )
        names.append(field.name)
    if not names:
        raise DataError(f"{path}: no column is left to predict from. Columns: {listed(schema.names)}.")
    return Source(path=path, file=file, names=tuple(names))


def _refuse_absent_keys(path: Path, there: list[str], data: DataTable) -> None:
    """Raise `DataError` where the target, or another column that the study names, is missing."""
    if data.target is None:
        raise DataError(f"data.target: missing. Name the column of {path} to predict, one of: {listed(there)}.")
    for key in ("target", "split", "group", "time"):
        name = getattr(data, key)
        if name is not None and name not in there:
            raise DataError(
                f'data.{key}: {path} has no column "{name}".{suggestion(name, there)} Columns: {listed(there)}.'
            )
