"""Reads a CSV file into a table of text cells, and turns the table into a `Dataset`. `hpo.data.columns` finds the types
of columns.

A file must be in UTF-8, with the columns' names in the first line, separated by comma, semicolon, tab or bar.
"""

from __future__ import annotations

import csv
import io
import warnings
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hpo.data.columns import parse_numbers, read_features, read_target
from hpo.data.dataset import Dataset, suggestion
from hpo.errors import DataError
from hpo.printable import listed
from hpo.studyfile.records import DataTable

if TYPE_CHECKING:
    from pandas import DataFrame

MISSING = ("", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None")
"""Texts of cells, without surrounding blanks, that count as missing."""

SEPARATORS = ",;\t|"


def load_file(path: Path, data: DataTable) -> Dataset:
    """The data set in a CSV file. Raises `DataError` if it cannot be used."""
    frame = read_csv(path)
    target = _target_column(frame, path, data.target)
    features = read_features(frame.drop(columns=target), str(path))
    goal = read_target(frame[target], data.task, str(path))
    return Dataset(
        name=path.name,
        kind="tabular",
        task=goal.task,
        numeric=features.numeric_NF,
        numeric_names=features.numeric_names,
        categorical_NK=features.categorical_NK,
        categorical_names=features.categorical_names,
        target_N=goal.values_N,
        target_name=target,
        class_names=goal.class_names,
        notes=features.notes,
    )


def read_csv(path: Path) -> DataFrame:
    """All cells of a CSV file as text, NaN where missing, under unique column names.

    Raises `DataError` for a file that is absent, empty, not UTF-8, ragged, or has two columns of one name.
    """
    import pandas as pd

    text = _read_text(path)
    try:
        header, separator = _header(text)
        _refuse_duplicates(header, path)
        with warnings.catch_warnings():
            # pandas only warns when every row is longer than the header, and cuts the rows short.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text),
                sep=separator,
                header=0,
                names=header,
                index_col=False,
                dtype=str,
                keep_default_na=False,
                skipinitialspace=True,
            )
    except pd.errors.ParserWarning:
        raise DataError(
            f"{path}: the rows have more cells than the first line has names ({len(header)})."
            " Name every column, or remove the separators at the ends of the rows."
        ) from None
    except (pd.errors.ParserError, csv.Error) as error:
        reason = str(error).strip().removeprefix("Error tokenizing data. C error: ")
        raise DataError(
            f"{path}: not a well-formed CSV file: {reason}. Every row needs as many cells as the first line,"
            " and every quote its end."
        ) from None
    if frame.empty:
        raise DataError(f"{path}: only a first line with {len(header)} names and no rows. Add examples.")
    for column in frame.columns:
        cells = frame[column].str.strip()
        frame[column] = cells.mask(cells.isin(MISSING))
    return frame


def _read_text(path: Path) -> str:
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise DataError(
            f"{path}: no such file. A relative path in data.dataset starts at the study file's folder."
        ) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}, line {line}: byte 0x{raw[error.start]:02x} is not UTF-8. Save the table as a CSV file"
            f" in UTF-8, e.g. `iconv -f latin1 -t utf-8 {path.name} > {path.stem}-utf8.csv`."
        ) from None
    if "\0" in text:
        raise DataError(f"{path}: holds zero bytes, so it is no text file. Save the table as a CSV file in UTF-8.")
    if not text.strip():
        raise DataError(f"{path}: the file is empty. It needs a first line with column names, then the examples.")
    return text


def _header(text: str) -> tuple[list[str], str]:
    """The columns' names and the separator: the one that occurs most often in the first line."""
    lines = io.StringIO(text.lstrip("\r\n"))
    first = lines.readline()
    lines.seek(0)
    separator = max(SEPARATORS, key=first.count)
    cells = next(csv.reader(lines, delimiter=separator, skipinitialspace=True))
    return [cell.strip() or f"column {number}" for number, cell in enumerate(cells, 1)], separator


def _refuse_duplicates(header: list[str], path: Path) -> None:
    twice = [name for name, count in Counter(header).items() if count > 1]
    if twice:
        places = [str(number) for number, name in enumerate(header, 1) if name == twice[0]]
        raise DataError(
            f'{path}: column name "{twice[0]}" occurs {len(places)} times (columns {listed(places)}).'
            " Names must be unique: rename or remove the others."
        )


def _target_column(frame: DataFrame, path: Path, target: str | None) -> str:
    names = [str(name) for name in frame.columns]
    if target is None:
        raise DataError(f"data.target: missing. Name the column of {path} to predict, one of: {listed(names)}.")
    if target not in names:
        import pandas as pd

        as_numbers = parse_numbers(pd.Series(names, dtype=object)).values_N
        hint = "" if np.isnan(as_numbers).all() else " The first line of the file must hold the columns' names."
        raise DataError(
            f'data.target: {path} has no column "{target}".{suggestion(target, names)} Columns: {listed(names)}.{hint}'
        )
    return target
