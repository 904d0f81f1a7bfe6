"""How an exported model reads the cells of a table: as training did, but by the forms that training found. Exports have
copies of these functions, which therefore need NumPy alone and have lines of 88 columns.

Dimensions: N rows.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = r"|\?|NA|N/A|n/a|#N/A|<NA>|NaN|nan|NULL|null|None"
"""Pattern of cells that are missing: `MISSING` of `hpo.data.table`."""
BLANK = r"-{1,3}|\.{1,2}|n\. ?d\.|nd|k\. ?a\.|missing|unknown|none|na|nil"
"""Pattern of further ones among numbers, in small letters: `BLANKS` of `hpo.data.columns.cells`."""
SIGN = "[%‰€$£¥₹₽₩₺₿¢]"
"""Pattern of a sign before or behind a number: `SIGNS` of `hpo.data.columns.numbers`."""
TYPOGRAPHY = str.maketrans("\u00a0\u2007\u2009\u202f\u2212", "    -")
"""Blanks and minus signs of typography, in the form of plain text."""
PLAIN = {"kind": "numeric", "decimal": ".", "thousands": "", "others_missing": False}
"""Form of columns that have none in preprocessing.json."""


def numbers_of(rows: Any, name: str, form: dict[str, Any]) -> NDArray[np.float64]:
    """[N] numbers or dates of a column, NaN where missing."""
    cells = cells_of(rows, name)
    if form["kind"] == "numeric" and set(map(type, cells)) <= {float, int}:
        return np.array(cells, np.float64)
    read = days_of if form["kind"] == "date" else number_reader(form)
    values = {}
    for cell in dict.fromkeys(cells):
        try:
            values[cell] = read(cell)
        except ValueError as error:
            place = f'column "{name}", row {cells.index(cell) + 1}'
            raise ValueError(f"{place}: {error}") from None
    return np.array([values[cell] for cell in cells], np.float64)


def texts_of(rows: Any, name: str) -> list[str | None]:
    """[N] texts of a column, None where missing."""
    cells = cells_of(rows, name)
    texts = {cell: text_of(cell) for cell in set(cells)}
    return [texts[cell] for cell in cells]


def cells_of(rows: Any, name: str) -> list[Any]:
    """[N] cells of a column."""
    if not isinstance(rows, list):
        cells: list[Any] = np.asarray(rows[name], dtype=object).tolist()
        return cells
    for number, row in enumerate(rows, 1):
        if name not in row:
            raise KeyError(f'row {number} has no column "{name}"')
    return [row[name] for row in rows]


def text_of(cell: Any) -> str | None:
    """The cell as text, None if it is missing. Whole numbers have no fraction."""
    whole = isinstance(cell, float) and cell.is_integer()
    text = str(int(cell) if whole else cell).strip()
    return None if re.fullmatch(MISSING, text) else text


def number_reader(form: dict[str, Any]) -> Callable[[Any], float]:
    """A function that gives the number in a cell, NaN if it is missing."""
    point, mark = form["decimal"] or ".", form["thousands"] or ""
    p, m = re.escape(point), re.escape(mark)
    grouped = rf"[1-9]\d{{0,2}}({m}\d{{3}})+|" if mark else ""
    digits = rf"({grouped}\d+)({p}\d*)?|{p}\d+"
    number = re.compile(rf"[+-]?(({digits})(e[+-]?\d+)?|inf(inity)?)", re.IGNORECASE)
    sign = re.compile(rf"^([+-]?){SIGN} *| *{SIGN}$")

    def number_of(cell: Any) -> float:
        if isinstance(cell, Real) and not isinstance(cell, bool):
            return float(cell)
        text = str(cell).strip()
        if not number.fullmatch(text):
            if re.fullmatch(MISSING, text) or re.fullmatch(BLANK, text.lower()):
                return math.nan
            text = sign.sub(r"\1", text.translate(TYPOGRAPHY).strip())
        if number.fullmatch(text):
            return float(text.replace(mark, "").replace(point, "."))
        if form["others_missing"]:
            return math.nan
        raise ValueError(f"{cell!r} is no number")

    return number_of


def days_of(cell: Any) -> float:
    """The days since 1970-01-01 (UTC) of a date, NaN if it is missing."""
    text = text_of(cell)
    if text is None or text == "NaT":
        return math.nan
    if len(text) < 8:  # 2026, or 2026-01
        text = (text + "-01-01")[:10]
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{cell!r} is no date") from None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return (when.replace(tzinfo=when.tzinfo or UTC) - epoch) / timedelta(days=1)
