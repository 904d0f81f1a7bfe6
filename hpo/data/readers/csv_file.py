"""CSV files: text with a line of names (unless `data.header` is false), then a line for each row. Also packed by gzip.

Found in the file, or declared in `[data]`: `encoding` (else UTF-8, or UTF-16 by its byte order mark), `separator` (else
the one that cuts the first lines into equally many cells), `quote` (else a double quote).
"""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.data.notes import Note
from hpo.data.readers.files import read_bytes
from hpo.data.table import MISSING, Table, refuse_duplicates, rows, table_of
from hpo.errors import DataError
from hpo.printable import on_one_line
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from pandas import DataFrame

SEPARATORS = ",;\t|"
LOOKED_AT = 50
"""Lines from which the separator is found."""
MUCH = 1_000_000
"""Characters in which leading zeros are looked for."""
BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_csv(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table:
    """The table in a file. Columns `as_text` keep the text of their cells where it would pass for a number.

    Raises `DataError` for a file that is absent, empty, no text in its encoding, ragged, or has two columns of one
    name.
    """
    text = _text_of(path, data)
    text, separator = _declared_separator(text)
    separator = data.separator or separator or _found_separator(text, data, path)
    names = _names(text, separator, data)
    if not names:
        raise DataError(f"{path}, line 1: not well-formed. It must hold the columns' names, and every quote its end.")
    refuse_duplicates(names, str(path))
    dialect: dict[str, Any] = {
        "sep": separator,
        "quotechar": data.quote,
        "header": 0 if data.header else None,
        "names": names,
        "index_col": False,
        "skipinitialspace": separator != " ",
        "keep_default_na": False,
    }
    kept = {name: object for name in names if name in set(as_text)}
    frame = _parsed(text, path, names, {**dialect, "dtype": kept, "na_values": list(MISSING), "low_memory": False})
    if frame[names[-1]].isna().any():  # a row with too few cells lacks the last one
        _refuse_short_rows(text, separator, data, len(names), path)
    booleans = [str(name) for name, dtype in frame.dtypes.items() if dtype.kind == "b"]
    if booleans:  # pandas writes `true` and `TRUE` as `True`
        again = _parsed(text, path, names, {**dialect, "dtype": object, "usecols": booleans, "na_filter": False})
        frame[booleans] = again[booleans]
    return replace(table_of(frame, path.name, str(path)), notes=tuple(_leading_zeros(text, separator, data, frame)))


def _text_of(path: Path, data: DataTable) -> str:
    raw = read_bytes(path)
    known = next((name for mark, name in BYTE_ORDER_MARKS.items() if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(data.encoding or known)
    except LookupError:
        raise DataError(
            f'data.encoding: there is no encoding "{data.encoding}". Usual ones: utf-8, cp1252, latin-1, utf-16.'
        ) from None
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        found = f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not {error.encoding.upper()}."
        if data.encoding:
            raise DataError(f"{found} Leave data.encoding out, or name the one that the file has.") from None
        raise DataError(
            f'{found} Say what it is, e.g. data.encoding = "cp1252" (Windows) or "latin-1", or save the table in UTF-8.'
        ) from None
    if "\0" in text:
        hint = " It looks like UTF-16 without its mark: set data.encoding." if raw.count(0) > len(raw) / 4 else ""
        raise DataError(f"{path}: holds zero bytes, so it is no text file. Save the table as CSV in UTF-8.{hint}")
    if not text.strip():
        raise DataError(f"{path}: the file is empty. It needs a first line with column names, then the examples.")
    text = text.lstrip("\ufeff")
    return text.replace("\r", "\n") if "\n" not in text else text.lstrip("\r\n")


def _declared_separator(text: str) -> tuple[str, str | None]:
    """The text without a first line `sep=;`, which spreadsheets write, and what it says."""
    found = re.match(r'"?sep=(.)"?[ \t]*\r?\n', text, re.IGNORECASE)
    return (text[found.end() :], found[1]) if found else (text, None)


def _found_separator(text: str, data: DataTable, path: Path) -> str:
    """The separator that cuts most of the first lines into as many cells as the line of names, and into most cells."""
    first = text.split("\n", 1)[0]
    if first.lstrip().startswith("#") and not any(mark in first for mark in SEPARATORS):
        raise DataError(
            f'{path}, line 1: "{on_one_line(first.strip())}" looks like a comment, and the first line must hold the '
            "columns' names. Remove the lines above them."
        )

    head = "\n".join(text.split("\n", LOOKED_AT)[:LOOKED_AT])

    def fit(separator: str) -> tuple[float, int, int]:
        counts = [len(row) for row in _rows(head, separator, data) if row] or [0]
        alike = Counter(counts)[counts[0]] / len(counts)
        return (alike if counts[0] > 1 else 0.0, counts[0], first.count(separator))

    return max(SEPARATORS, key=fit)


def _rows(text: str, separator: str, data: DataTable) -> Iterable[list[str]]:
    """The cells of each line."""
    reader = csv.reader(io.StringIO(text), delimiter=separator, quotechar=data.quote, skipinitialspace=separator != " ")
    try:
        yield from reader
    except csv.Error:  # pandas says what is wrong
        return


def _names(text: str, separator: str, data: DataTable) -> list[str]:
    cells = next(iter(_rows(text, separator, data)), [])
    return [(cell.strip() if data.header else "") or f"column {number}" for number, cell in enumerate(cells, 1)]


def _parsed(text: str, path: Path, names: list[str], options: dict[str, Any]) -> DataFrame:
    import pandas as pd

    try:
        with warnings.catch_warnings():
            # pandas only warns when every row is longer than the header, and cuts the rows short.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame: DataFrame = pd.read_csv(io.StringIO(text), **options)
            return frame
    except pd.errors.ParserWarning:
        raise DataError(
            f"{path}: the rows have more cells than the first line has names ({len(names)})."
            " Name every column, or remove the separators at the ends of the rows."
        ) from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, csv.Error) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise DataError(
            f"{path}: not a well-formed CSV file: {reason}. Every row needs as many cells as the first line,"
            " and every quote its end."
        ) from None


def _refuse_short_rows(text: str, separator: str, data: DataTable, cells: int, path: Path) -> None:
    lines = enumerate(_rows(text, separator, data))
    short = [number - data.header for number, row in lines if row and len(row) < cells]
    if short:
        raise DataError(
            f"{path}: {len(short)} row{'s have' if len(short) > 1 else ' has'} fewer cells than the first line has "
            f"names ({cells}): {rows(np.array(short))}. Write every cell; one without a value stays empty."
        )


def _leading_zeros(text: str, separator: str, data: DataTable, frame: DataFrame) -> Iterable[Note]:
    """A note for each column that was read as numbers although some have leading zeros, and so may be codes."""
    from pandas.api.types import is_integer_dtype

    cells: dict[str, str] = {}
    for place in islice(re.finditer(rf"[\n{re.escape(separator + data.quote)}]0\d", text[:MUCH]), LOOKED_AT):
        line = text[text.rfind("\n", 0, place.start() + 1) + 1 :].split("\n", 1)[0]
        for row in _rows(line, separator, data):
            named = zip(frame.columns.astype(str), row, strict=False)
            cells |= {name: cell for name, cell in named if re.fullmatch(r"0\d+ *", cell)}
    for name, cell in cells.items():
        if is_integer_dtype(frame[name].dtype):
            yield Note(
                kind="suspicious",
                text='Numbers with leading zeros were read as numbers; if they are codes, declare "categorical" in '
                "[data.columns]",
                column=name,
                detail=f"e.g. {cell.strip()}",
            )
