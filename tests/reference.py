"""docs/study-file.md, written from the records: `python -m tests.reference > docs/study-file.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hpo.studyfile.fields import FIXED_TABLES, SHORTHANDS, Shape, Slot, searched_tables, shape_of

HEAD = """\
# Study files

Every table and key of a study file, with defaults. Written from the program's own records; `hpo check --schema` has the
same for editors.

A value of the searched tables (`[model]` and below) may be

- a range of numbers: `{ low = 1e-4, high = 0.1 }`, with `log = true` for equal chances per factor, or `step = 0.1`;
  both ends belong to it;
- a choice of values: `{ choice = ["relu", "tanh"] }`, `{ choice = [[32], [64, 64]] }`;
- absent: then its default holds.

A searched table may be a choice of tables: `[optimizer]` with `choice = [{ name = "sgd" }, { name = "adam" }]`. What
stands inside an option is searched only where that option is drawn; what stands beside `choice` goes into every option.
Where two options give the same key different ranges, these are two parameters, e.g. `optimizer.sgd.weight_decay`. The
text "none" stands for the absence of an optional value.
"""


def reference() -> str:
    """The text of the page."""
    parts = [HEAD, "## Fixed tables", ""]
    for name, record in FIXED_TABLES.items():
        parts += _table(name, shape_of(record), record.__doc__ or "")
    parts += ["## Searched tables", ""]
    for name, slot in searched_tables().items():
        assert slot.shape is not None
        parts += _table(name, slot.shape, slot.description)
    return "\n".join(parts).rstrip() + "\n"


def _table(name: str, shape: Shape, about: str) -> Iterator[str]:
    yield from (f"### [{name}]", "", _line(about), "")
    yield from _fields(shape, name)


def _fields(shape: Shape, path: str) -> Iterator[str]:
    if shape.tag_slot is not None and not shape.descriptions:
        shared = dict(shape.variants[next(iter(shape.variants))])
        everything = {key: slot for slots in shape.variants.values() for key, slot in slots.items()}
        yield from _rows({shape.tag_slot.name: shape.tag_slot} | shared | everything, shape.default)
    elif shape.tag is not None:
        for label, slots in shape.variants.items():
            yield from (f'`{shape.tag} = "{label}"`: {_line(shape.descriptions[label])}', "")
            yield from _rows(slots)
    else:
        yield from _rows(shape.variants[""])
        for key, slot in shape.variants[""].items():
            if slot.shape is not None:
                short = f', `{key} = "NAME"` for short' if f"{path}.{key}" in SHORTHANDS else ""
                yield from (f"`{path}.{key}` is a table{short}:", "")
                yield from _fields(slot.shape, f"{path}.{key}")


def _rows(slots: Any, default: str | None = None) -> Iterator[str]:
    if not slots:
        return
    yield from ("| key | value | default | meaning |", "| --- | --- | --- | --- |")
    for key, slot in slots.items():
        meaning = _line(slot.description) + (f" Never searched: {slot.fixed}." if slot.fixed else "")
        yield f"| `{key}` | {_allowed(slot)} | {_default(slot, default)} | {meaning} |".replace("  ", " ")
    yield ""


def _allowed(slot: Slot) -> str:
    return "a table" if slot.shape else _schema(slot.schema)


def _schema(schema: Any) -> str:
    if "anyOf" in schema:
        return ", or ".join(_schema(arm) for arm in schema["anyOf"] if arm.get("type") != "null")
    if values := schema.get("enum") or ([schema["const"]] if "const" in schema else None):
        return ", ".join(f'`"{value}"`' for value in values)
    if schema["type"] == "object":
        values = schema["additionalProperties"]
        if values is True:
            return "tables"
        return f"a table; each value {'one of' if 'enum' in values else 'a'} {_schema(values)}"
    if schema["type"] == "array":
        return "a list of " + _schema(schema["items"]).replace("number", "numbers", 1)
    words = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
    bounds = (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
    limits = [f"{sign} {schema[bound]:g}" for bound, sign in bounds if bound in schema and abs(schema[bound]) < 1e6]
    return " ".join([words[schema["type"]], ", ".join(limits)]).strip()


def _default(slot: Slot, default: str | None) -> str:
    value = default if slot.required and default is not None else slot.default
    if value is None:
        return "needed" if slot.required else "none"
    if isinstance(value, dict):
        value = value.get("name", value)
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _line(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    print(reference(), end="")
