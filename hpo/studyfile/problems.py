"""Messages about mistakes in a study file: what was found, what is allowed, and the nearest valid name.

The rules themselves are in the readers, which call this module for the messages.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from hpo.errors import StudyFileError
from hpo.printable import LONGEST_LINE, MOST_NAMED, listed, on_one_line, printable, shortened
from hpo.studyfile.custom import MODULE_PATTERN
from hpo.studyfile.records import NAME_PATTERN
from hpo.studyfile.records.study import FREE_METRIC_PATTERN
from hpo.studyfile.tree import toml

LONGEST_QUOTE = 120
"""Characters of a found value that a message repeats."""
LONGEST_NAME = 100
"""Longest text, in characters, for which a similar valid name is looked for."""

PATTERNS: dict[str, str] = {
    NAME_PATTERN: "1 to 100 letters, digits, '.', '_' or '-', beginning with a letter or a digit",
    MODULE_PATTERN: 'a class or function and where it is, "FILE.py:NAME" or "PACKAGE.MODULE:NAME"',
    FREE_METRIC_PATTERN: "a name that the function of [trial] reports: letters, digits and '_', at most 64",
}
NOUNS: dict[str, tuple[str, str]] = {
    "integer": ("a whole number", "whole numbers"),
    "number": ("a number", "numbers"),
    "string": ("text", "texts"),
    "boolean": ("true or false", "true or false"),
    "object": ("a table", "tables"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One mistake."""

    path: str
    """Dotted path of the place in the file."""
    text: str
    """What was found, what is allowed, and the way out."""


def refuse(source: str, problems: Iterable[Problem]) -> NoReturn:
    """Raise one StudyFileError that lists every problem once."""
    found = list(dict.fromkeys(problems))
    lines = [f"{on_one_line(problem.path)}: {problem.text}" for problem in found[:MOST_NAMED]]
    if len(found) == 1:
        raise StudyFileError(f"{source}: {lines[0]}")
    lines = [shortened(printable(line), LONGEST_LINE) for line in lines]
    if len(found) > MOST_NAMED:
        lines.append(f"... and {len(found) - MOST_NAMED:,} more")
    raise StudyFileError("\n".join([f"{source}: {len(found)} mistakes", *(f"  {line}" for line in lines)]))


def quote(value: Any) -> str:
    """The value as TOML, without its middle if it is long."""
    return shortened(printable(toml(value)), LONGEST_QUOTE)


def listing(names: Iterable[Any]) -> str:
    return listed(map(quote, names))


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The valid name that was probably meant: one with a similar spelling, or one that `name` abbreviates."""
    known = list(names) if len(name) <= LONGEST_NAME else []
    for candidate in known:
        initials = "".join(word[:1] for word in candidate.split("_"))
        begun = len(name) >= 3 and candidate.startswith(name.lower())
        if begun or name.lower() in (candidate, initials):
            return candidate
    lowered = {candidate.lower(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else None


def hint(name: Any, names: Iterable[str]) -> str:
    """` Did you mean "batch"?`, or an empty text if no valid name is similar."""
    close = nearest(name, names) if isinstance(name, str) else None
    return f' Did you mean "{close}"?' if close else ""


def unknown_key(path: str, key: str, allowed: Sequence[str], advice: str = "") -> Problem:
    """A problem with a key. `advice`: said if no allowed name is similar."""
    said = hint(key, allowed) or (f" {advice}." if advice else "")
    return Problem(path=path, text=f"unknown key.{said} Allowed here: {', '.join(allowed)}")


def wrong_value(path: str, found: Any, schema: Mapping[str, Any]) -> Problem:
    """A problem with a value. `schema`: the JSON Schema of allowed values."""
    forms = schema.get("anyOf", [schema])
    names = [value for form in forms for value in _enumerated(form) if isinstance(value, str)]
    nearby = hint(found, names)
    return Problem(path=path, text=f"found {quote(found)}; must be {describe(schema)}{'.' if nearby else ''}{nearby}")


def describe(schema: Mapping[str, Any]) -> str:
    """The values that a JSON Schema of one field allows, in words."""
    if "description" in schema:
        return str(schema["description"])
    if "anyOf" in schema:
        parts = [part for part in schema["anyOf"] if part.get("type") != "null"]
        free = any(part.get("type") == "string" and not _enumerated(part) for part in parts)
        absent = [] if free or len(parts) == len(schema["anyOf"]) else ['"none"']
        return " or ".join([*(describe(part) for part in parts), *absent])
    if values := _enumerated(schema):
        return quote(values[0]) if len(values) == 1 else f"one of {listing(values)}"
    if schema["type"] == "array":
        items = schema["items"]
        inside = f" of {NOUNS[items['type']][1]}{_bounds(items, 'each ')}"
        fewest = schema.get("minItems", 0)
        return f"a list{inside}" + (f", with at least {fewest} of them" if fewest else "")
    if schema["type"] == "object" and schema["additionalProperties"] is not True:
        return f"a table, each of whose values is {describe(schema['additionalProperties'])}"
    if schema["type"] == "string" and "pattern" in schema:
        return PATTERNS[schema["pattern"]]
    if schema["type"] == "string" and schema.get("minLength"):
        return "text that is not empty"
    noun = NOUNS[schema["type"]][0]
    return (noun.replace("a ", "an odd ") if "not" in schema else noun) + _bounds(schema)


def _enumerated(schema: Mapping[str, Any]) -> list[Any]:
    return [schema["const"]] if "const" in schema else list(schema.get("enum", ()))


def _bounds(schema: Mapping[str, Any], each: str = "") -> str:
    words = [
        ("minimum", "at least"),
        ("exclusiveMinimum", "above"),
        ("maximum", "at most"),
        ("exclusiveMaximum", "below"),
    ]
    bounds = [f"{word} {_number(schema[key])}" for key, word in words if key in schema]
    return f" ({each}{' and '.join(bounds)})" if bounds else ""


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(value)
