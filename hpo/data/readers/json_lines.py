"""JSON Lines: an object on each line, its keys are the columns. Also packed by gzip."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hpo.data.readers.files import read_bytes
from hpo.data.table import Table, table_of
from hpo.errors import DataError
from hpo.printable import on_one_line
from hpo.studyfile.records import DataTable


def read_json_lines(path: Path, data: DataTable, *, as_text: Iterable[str] = ()) -> Table:
    """The table in a file. A key that a line lacks is a missing cell; columns `as_text` keep their numbers as written.

    Raises `DataError` for a line that is no object, or a value that is a list or an object.
    """
    import pandas as pd

    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {at}: byte 0x{raw[error.start]:02x} is not UTF-8, in which JSON is written. Save it "
            "in UTF-8."
        ) from None
    kept = set(as_text)
    names: dict[str, None] = {}
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        row = _object(line, f"{path}, line {number}")
        if kept:
            written = json.loads(line, parse_int=str, parse_float=str)
            row |= {name: written[name] for name in kept & row.keys() if not isinstance(row[name], bool)}
        names |= dict.fromkeys(row)
        rows.append(row)
    if not rows:
        raise DataError(
            f'{path}: the file is empty. It needs an object on each line, e.g. {{"age": 41, "label": "yes"}}.'
        )
    columns = {name: pd.Series([_cell(row.get(name)) for row in rows]) for name in names}
    return table_of(pd.DataFrame(columns, index=range(len(rows))), path.name, str(path))


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = on_one_line(str(error)).replace("line 1 ", "")
        raise DataError(
            f'{where}: it is not JSON: {said}. Each line must be a whole object, e.g. {{"age": 41, "label": "yes"}}.'
        ) from None
    if not isinstance(row, dict):
        raise DataError(
            f'{where}: it holds {on_one_line(line.strip()[:40])}, and must be an object, e.g. {{"age": 41, "label": '
            '"yes"}. A file that is one list must be written with one entry on each line.'
        )
    for name, value in row.items():
        if isinstance(value, (list, dict)):
            raise DataError(
                f'{where}: "{name}" is {"a list" if isinstance(value, list) else "an object"}, and a cell must be one '
                "value. Write a key for each value, or leave it out."
            )
    return row


def _cell(value: Any) -> Any:
    """A whole number too long for a column of numbers is text."""
    return str(value) if isinstance(value, int) and abs(value) >= 2**63 else value
