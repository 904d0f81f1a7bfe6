"""Decoding cells of the database: JSON of a known form, records, distributions and numbers. No statements.

A cell that cannot be decoded, e.g. after a disk failure or a change by another program, raises an `UndecodableError`
with the table and the row; `faults.explained` turns it into a `StorageError` that names the database, too.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar

from optuna.distributions import BaseDistribution, json_to_distribution
from pydantic import BeforeValidator, TypeAdapter, ValidationError
from typing_extensions import TypedDict  # pydantic takes that of `typing` from Python 3.12 on

from hpo.database.faults import UndecodableError

T = TypeVar("T")

LONGEST = 60
"""Most characters of a cell that a message shows."""


class Balance(TypedDict):
    """Examples of one class, or group of the target, in one part of the data."""

    part: str
    group: str
    count: int
    share: float


def _defined(value: Any) -> Any:
    """None for NaN and infinities, as which earlier versions wrote undefined values."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Score = Annotated[float | None, BeforeValidator(_defined)]
"""A metric's value; None where it has none."""

BALANCE: TypeAdapter[tuple[Mapping[str, Any], ...]] = TypeAdapter(tuple[Balance, ...])
FACTS: TypeAdapter[Mapping[str, Any]] = TypeAdapter(dict[str, Any])
METRICS = TypeAdapter(dict[str, float | None])
SCORES = TypeAdapter(dict[str, Score | dict[str, Score]] | None)
TEXTS: TypeAdapter[Mapping[str, str]] = TypeAdapter(dict[str, str])
LENGTHS = TypeAdapter(list[tuple[int | None, int]])
"""Forms of the JSON in cells of known meaning."""


def plain_json(text: Any, place: str) -> Any:
    """The JSON in a cell, of any form. `place` names the table and the row. Halves of surrogate pairs, which no file
    can hold, are question marks."""
    try:
        value = json.loads(text)
        if "\\ud" in text.lower():
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
        return value
    except (TypeError, ValueError, RecursionError):
        raise UndecodableError(f"{place} holds {_shown(text)}, which is no JSON") from None


def json_of(text: Any, form: TypeAdapter[T], place: str) -> T:
    """The JSON in a cell, checked against the form of its column."""
    return formed(plain_json(text, place), form, place)


def formed(value: Any, form: TypeAdapter[T], place: str) -> T:
    """The value, checked against its form; a record is made from its fields by name."""
    try:
        return form.validate_python(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        said = first["msg"][:1].lower() + first["msg"][1:]
        found = _shown(first["input"])
        raise UndecodableError(f"{place} holds {found}{f' as {where}' if where else ''}: {said}") from None


@lru_cache(maxsize=10_000)
def parse_distribution(text: str) -> BaseDistribution:
    """The distribution that a parameter was drawn from."""
    try:
        return json_to_distribution(text)
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError):
        raise UndecodableError(f"trial_params holds {_shown(text)} as a distribution") from None


def drawn(distribution: BaseDistribution, stored: Any, place: str) -> Any:
    """A parameter's value from its stored representation."""
    try:
        return distribution.to_external_repr(number(stored, place))
    except (IndexError, OverflowError, ValueError):
        raise UndecodableError(f"{place} holds {_shown(stored)}, which is none of {distribution}") from None


def number(stored: Any, place: str) -> Any:
    """Check that a cell holds a number, and return it."""
    if isinstance(stored, int | float):
        return stored
    raise UndecodableError(f"{place} holds {_shown(stored)} instead of a number")


def word(stored: Any, place: str) -> str:
    """Check that a cell holds a text, and return it."""
    if isinstance(stored, str):
        return stored
    raise UndecodableError(f"{place} holds {_shown(stored)} instead of a name")


def _shown(cell: Any) -> str:
    text = cell if isinstance(cell, str) else repr(cell)
    return "NULL" if cell is None else repr(text[:LONGEST]) + ("..." if len(text) > LONGEST else "")
