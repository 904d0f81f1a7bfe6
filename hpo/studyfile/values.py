"""Reads one field of a table: a concrete value, a range or a choice of values, checked against the record's field.

Tables and choices of tables are read by `hpo.studyfile.tables`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pydantic import ValidationError

from hpo.studyfile.fields import Slot
from hpo.studyfile.problems import Problem, describe, nearest, quote, unknown_key, wrong_value
from hpo.studyfile.tree import RANGE_KEYS, Choice, Label, Range, join

MOST_CHECKED = 1000
"""Ranges of whole numbers with at most so many values are checked value by value; of others, the ends are checked."""

MOST_STEPS = 2**53
"""Steps of a range; a floating-point number cannot tell more values apart."""

MIXED_WAY_OUT = "To search a range in some cases only, make the whole table a choice of tables"


def read_value(found: Any, slot: Slot, path: str, problems: list[Problem], *, searched: bool) -> Any:
    """The value, Range or Choice that `found` stands for. If it breaks a rule, adds a problem and returns None."""
    if not isinstance(found, dict):
        return check_value(found, slot, path, problems)
    if slot.by_name and not (searched and isinstance(found.get("choice"), list)):
        return _by_name(found, slot, slot.by_name, path, problems)
    is_choice = "choice" in found
    is_range = not is_choice and any(nearest(key, RANGE_KEYS) for key in found)
    if not is_choice and not is_range:
        ways = f"{describe(slot.schema)}{ways_to_search(slot) if searched else ''}"
        problems.append(Problem(path=path, text=f"found the table {quote(found)}; must be {ways}"))
    elif not searched:
        kind = "choice" if is_choice else "range"
        text = f"found a {kind}; [{path.split('.')[0]}] cannot be searched. Write {describe(slot.schema)}"
        problems.append(Problem(path=path, text=text))
    elif slot.fixed:
        problems.append(Problem(path=path, text=f"cannot be searched: {slot.fixed}. Write one number"))
    elif is_choice:
        return _read_choice(found, slot, path, problems)
    else:
        return _read_range(found, slot, path, problems)
    return None


def _by_name(
    found: dict[str, Any], slot: Slot, allowed: Mapping[str, Any], path: str, problems: list[Problem]
) -> dict[str, Any]:
    """A table of plain values, by name; each that breaks the rule is a problem of its own."""
    assert slot.adapter is not None
    table: dict[str, Any] = {}
    for name, value in sorted(found.items()):
        try:
            table |= slot.adapter.validate_python({name: value})
        except ValidationError:
            problems.append(wrong_value(join(path, name), value, allowed))
    return table


def check_value(found: Any, slot: Slot, path: str, problems: list[Problem]) -> Any:
    """One concrete value in its canonical form: 1 becomes 1.0 where the field is a real number."""
    if slot.optional and found == "none":
        return None
    try:
        assert slot.adapter is not None
        value = slot.adapter.validate_python(found)
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("not finite")
    except (ValidationError, ValueError):
        problems.append(wrong_value(path, found, slot.schema))
        return None
    return list(value) if isinstance(value, tuple) else value


def ways_to_search(slot: Slot) -> str:
    """The forms, in words, in which the field can be searched; empty if it cannot."""
    if slot.fixed:
        return ""
    return (", a range { low = , high = }" if slot.number else "") + " or { choice = [...] }"


def scalar(value: Any) -> Label:
    """The label of an option in the database and in messages."""
    match value:
        case None | []:
            return "none"
        case list():
            return "-".join(str(item) for item in value)
        case _:
            label: Label = value
            return label


def _read_choice(found: dict[str, Any], slot: Slot, path: str, problems: list[Problem]) -> Choice | None:
    before = len(problems)
    text = "stands beside choice, but a choice of values stands alone: { choice = [...] }"
    problems.extend(Problem(path=join(path, key), text=text) for key in found if key != "choice")
    options = found["choice"]
    if not isinstance(options, list) or not options:
        text = f"found {quote(options)}; must be a list of one value or more, each {describe(slot.schema)}"
        problems.append(Problem(path=join(path, "choice"), text=text))
        return None
    values: list[Any] = []
    for number, option in enumerate(options, start=1):
        place = f"{path}.choice#{number}"
        if isinstance(option, dict):
            text = f"found {quote(option)} among values; must be {describe(slot.schema)}. {MIXED_WAY_OUT}"
            problems.append(Problem(path=place, text=text))
            continue
        noted = len(problems)
        value = check_value(option, slot, place, problems)
        if len(problems) > noted:
            continue
        if value in values:
            text = f"found {quote(option)} twice; the options of a choice differ"
            problems.append(Problem(path=join(path, "choice"), text=text))
        values.append(value)
    if len(problems) > before:
        return None
    labels = [scalar(value) for value in values]
    for value, label in zip(values, labels, strict=True):
        if labels.count(label) > 1:
            text = f"found {quote(value)} beside another option that the database would call {quote(label)} too"
            problems.append(Problem(path=join(path, "choice"), text=f"{text}. Make the table a choice of tables"))
            return None
    return Choice(options=tuple(values), labels=tuple(labels))


def _read_range(found: dict[str, Any], slot: Slot, path: str, problems: list[Problem]) -> Range | None:
    before = len(problems)
    if slot.number is None:
        text = f"found the range {quote(found)}, but this is no number; must be {describe(slot.schema)}"
        problems.append(Problem(path=path, text=f"{text} or {{ choice = [...] }}"))
        return None
    strange = [key for key in found if key not in RANGE_KEYS]
    problems.extend(unknown_key(join(path, key), key, RANGE_KEYS) for key in strange)
    for key in ("low", "high"):
        if key not in found:
            text = f"missing; a range has both ends, e.g. {{ low = 1, high = 9 }}; found {quote(found)}"
            problems.append(Problem(path=join(path, key), text=text))
    if not isinstance(found.get("log", False), bool):
        problems.append(wrong_value(join(path, "log"), found["log"], {"type": "boolean"}))
    if len(problems) > before:
        return None
    low, high = (check_value(found[key], slot, join(path, key), problems) for key in ("low", "high"))
    if None in (low, high):
        if len(problems) == before:
            text = f'found {quote(found)}; an end of a range is a number. To search "none" too, write a choice'
            problems.append(Problem(path=path, text=text))
        return None
    step = _read_step(found, slot, path, problems)
    span = Range(low=low, high=high, log=found.get("log", False), step=step)
    if len(problems) == before:
        problems.extend(Problem(path=path, text=text) for text in _range_rules(span, slot, found))
    return span if len(problems) == before else None


def _read_step(found: dict[str, Any], slot: Slot, path: str, problems: list[Problem]) -> int | float | None:
    if "step" not in found:
        return None
    step = found["step"]
    allowed = (int,) if slot.number == "integer" else (int, float)
    if isinstance(step, bool) or not isinstance(step, allowed) or not 0 < step <= sys.float_info.max:
        schema = {"type": slot.number, "exclusiveMinimum": 0}
        problems.append(wrong_value(join(path, "step"), step, schema))
        return None
    return step if slot.number == "integer" else float(step)


def _range_rules(span: Range, slot: Slot, found: dict[str, Any]) -> list[str]:
    """The first rule that a range with valid ends breaks, as a list of at most one message."""
    if span.low >= span.high:
        way_out = "write the number itself" if span.low == span.high else "swap the ends"
        return [f"found {quote(found)}, an empty range: low must be below high; {way_out}"]
    if not math.isfinite(span.high - span.low):
        return [f"found {quote(found)}, wider than floating point can hold"]
    if span.log and span.low <= 0:
        return [f"found low = {span.low} with log = true; a log range needs low above 0, e.g. low = 1e-6"]
    if span.log and span.step is not None:
        return [f"found {quote(found)}; a log range takes no step. Leave out step, or list values in a choice"]
    if span.step is not None:
        if (span.high - span.low) / span.step > MOST_STEPS:
            text = f"found {quote(found)}, more steps than floating-point numbers can tell apart"
            return [f"{text}. Write a larger step, or none: the range is continuous then"]
        low, high, step = (Decimal(str(number)) for number in (span.low, span.high, span.step))
        steps = (high - low) // step
        if (high - low) % step:
            below, above = low + steps * step, low + (steps + 1) * step
            reached = f"{below} or {above}" if steps else f"{above}"
            return [f"found {quote(found)}; steps of {span.step} from {span.low} end at {reached}, so set high to that"]
    if slot.number == "integer" and (span.high - span.low) // (span.step or 1) <= MOST_CHECKED:
        wrong: list[Problem] = []
        for value in range(int(span.low), int(span.high) + 1, int(span.step or 1)):
            check_value(value, slot, "", wrong)
            if wrong:
                return [f"found {quote(found)}, which contains {value}; must be {describe(slot.schema)}"]
    return []
