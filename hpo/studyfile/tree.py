"""The nodes of a searched table (ranges and choices), and their form in TOML. No validation.

A tree is a nested plain dict whose leaves are JSON values (numbers, text, booleans, lists, None) or nodes.
"""

from __future__ import annotations

import datetime
import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

RANGE_KEYS = ("low", "high", "log", "step")

Label = str | int | float | bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Range:
    """Every number from `low` to `high`, both ends included: `{ low = 1e-4, high = 1.0, log = true }`."""

    low: int | float
    """Smallest value."""
    high: int | float
    """Largest value, above `low`."""
    log: bool = False
    """Uniform in the logarithm; needs low > 0 and excludes a step."""
    step: int | float | None = None
    """Distance of neighbouring values; it divides high - low. None: 1 for whole numbers, else continuous."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """One of several values, `{ choice = [...] }`, or of several tables, `choice = [{...}, {...}]`."""

    options: tuple[Any, ...]
    """Values, or tables (dicts that may hold nodes; None for an absent table)."""
    labels: tuple[Label, ...]
    """One distinct scalar per option, for the database and for people: `64-64` stands for `[64, 64]`."""
    tag: str | None = None
    """For a choice of tables the field that tells them apart (`kind`, `name`, ...); `choice` if there is
    none. None for a choice of values."""


def join(path: str, key: str) -> str:
    """The dotted path of `key` below `path`."""
    return f"{path}.{key}" if path else key


def count_steps(low: float, high: float, step: float) -> int:
    """How many values a range with a step has."""
    first, last, distance = (Decimal(str(number)) for number in (low, high, step))
    return int((last - first) / distance) + 1


def as_written(node: Any) -> Any:
    """The node as it was read from TOML: ranges and choices become dicts again."""
    match node:
        case None:
            return "none"
        case Range(low=low, high=high, log=log, step=step):
            written: dict[str, Any] = {"low": low, "high": high}
            if log:
                written["log"] = True
            if step is not None:
                written["step"] = step
            return written
        case Choice(options=options):
            return {"choice": [as_written(option) for option in options]}
        case dict():
            return {key: as_written(value) for key, value in node.items()}
        case list() | tuple():
            return [as_written(value) for value in node]
        case _:
            return node


def toml(node: Any) -> str:
    """The node as an inline TOML value, e.g. `{ low = 0.1, high = 0.5 }`."""
    return _inline(as_written(node))


def _inline(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case list():
            return "[" + ", ".join(map(_inline, value)) + "]"
        case dict():
            inside = ", ".join(f"{toml_key(key)} = {_inline(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case datetime.date() | datetime.time():
            return value.isoformat()
        case _:
            raise TypeError(f"TOML has no value like {value!r}")


def toml_key(key: str) -> str:
    """A key, in quotes where it needs them."""
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else toml(key)
