"""The JSON Schema of a study file, for editors. `python -m hpo.studyfile.schema` writes the file that is shipped.

It accepts every valid study and contains all names and bounds, but not the rules between settings. It is of draft 7,
the latest that TOML language servers support.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hpo.studyfile.custom import ARGUMENT_PATTERN
from hpo.studyfile.fields import (
    FIXED_TABLES,
    OF_MODELS,
    SHORTHANDS,
    Shape,
    Slot,
    argument_slot,
    searched_tables,
    shape_of,
)

Json = dict[str, Any]

SHIPPED = Path(__file__).with_name("study.schema.json")
"""The generated schema as a file, so that an editor can be pointed at it."""


def study_schema() -> Json:
    """The schema, generated from the records."""
    tables = {name: _fixed_table(shape_of(record), name) for name, record in FIXED_TABLES.items()}
    definitions: Json = {}
    tables |= {name: _searched(slot, name, definitions) for name, slot in searched_tables().items()}
    for name, record in FIXED_TABLES.items():
        tables[name]["description"] = record.__doc__
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "hpo study",
        **_object(tables, required=["study"]),
        "anyOf": [{"required": ["data", *OF_MODELS]}, {"required": ["trial"]}],
        "definitions": definitions,
    }


def schema_text(schema: Mapping[str, Any]) -> str:
    """The schema as it is shipped and printed."""
    return json.dumps(schema, indent=1) + "\n"


def _fixed_table(shape: Shape, path: str) -> Json:
    slots = shape.variants[""].values()
    fields = {slot.name: _fixed(slot, f"{path}.{slot.name}") for slot in slots}
    return _object(fields, required=[slot.name for slot in slots if slot.required])


def _fixed(slot: Slot, path: str) -> Json:
    if slot.shape is None:
        return _described(slot, _concrete(slot))
    names = [_tag(variant, slot.shape) for variant in slot.shape.variants] if path in SHORTHANDS else []
    tables = _variants(
        slot.shape,
        {
            variant: {field.name: _described(field, _concrete(field)) for field in fields.values()}
            for variant, fields in slot.shape.variants.items()
        },
    )
    return _described(slot, {"anyOf": [*names, *tables]})


def _searched(slot: Slot, path: str, definitions: Json) -> Json:
    """A value or a table, and the forms in which it may be searched. Fields are defined once, under their path."""
    if slot.shape is None:
        return _described(slot, _value(slot))
    if slot.shape.free:
        return _described(slot, _free())
    shape, tag = slot.shape, slot.shape.tag_slot
    fields: dict[str, Json] = {
        variant: {
            field.name: _defined(
                _searched(field, f"{path}.{field.name}", definitions), path, variant, field, definitions
            )
            for field in inner.values()
        }
        for variant, inner in shape.variants.items()
    }
    anything = {name: _any_of(inner[name] for inner in fields.values() if name in inner) for name in _names(fields)}
    if tag is not None:
        anything = {tag.name: _described(tag, _value(tag))} | anything
    absent = [{"const": "none"}] if slot.optional else []
    choice = {
        "description": "Tables to choose from. What stands beside choice goes into each of them.",
        **_list({"anyOf": [_object(anything), *absent]}),
    }
    several = _object(anything | {"choice": choice})
    several["anyOf"] = [{"required": ["choice"]}]
    if tag is not None:
        several["anyOf"].append({"required": [tag.name], "properties": {tag.name: {"type": "object"}}})
    return _described(slot, {"anyOf": [*_variants(shape, fields), several, *absent]})


def _names(fields: Mapping[str, Json]) -> list[str]:
    return list(dict.fromkeys(name for inner in fields.values() for name in inner))


def _any_of(schemas: Iterable[Json]) -> Json:
    """The schema of a field that variants may define each in its own way."""
    different = list({repr(schema): schema for schema in schemas}.values())
    return different[0] if len(different) == 1 else {"anyOf": different}


def _free() -> Json:
    """A table of arguments under any name that a Python function can take, or a choice of such tables."""
    span = _value(argument_slot("", {"low": 0.5}))["anyOf"][-1]
    value = {"anyOf": [*_value(argument_slot(""))["anyOf"], span]}
    table = {"type": "object", "propertyNames": {"pattern": ARGUMENT_PATTERN}, "additionalProperties": value}
    choice = {"type": "object", "additionalProperties": value, "properties": {"choice": _list(table)}}
    has_choice = {"required": ["choice"]}
    return {"anyOf": [table | {"not": has_choice}, choice | has_choice]}


def _defined(schema: Json, path: str, variant: str, slot: Slot, definitions: Json) -> Json:
    """A reference to the field's schema; a field that differs between variants is defined for each."""
    key = f"{path}.{slot.name}"
    if definitions.setdefault(key, schema) != schema:
        key = f"{path}.{variant}.{slot.name}"
        definitions[key] = schema
    return {"$ref": f"#/definitions/{key}"}


def _variants(shape: Shape, fields: Mapping[str, Json]) -> list[Json]:
    """One schema per variant of a table, each with its own fields."""
    if shape.tag is None:
        return [_object(fields[""])]
    return [
        _object(
            {shape.tag: _tag(variant, shape)} | fields[variant],
            required=[
                *([] if variant == shape.default else [shape.tag]),
                *(slot.name for slot in shape.variants[variant].values() if slot.required),
            ],
        )
        for variant in shape.variants
    ]


def _tag(variant: str, shape: Shape) -> Json:
    text = shape.descriptions.get(variant)
    return {"const": variant, **({"description": text} if text else {})}


def _value(slot: Slot) -> Json:
    concrete = _concrete(slot)
    if slot.fixed:
        return concrete
    options = concrete
    if slot.by_name:  # tables that are options make the whole table a choice
        options = {"anyOf": [form for form in concrete["anyOf"] if form.get("type") != "object"]}
    forms = [concrete, _object({"choice": _list(options)}, required=["choice"])]
    if slot.number:
        end = concrete["anyOf"][0] if slot.optional else concrete
        ends = {"low": end, "high": end}
        step = {"type": slot.number, "exclusiveMinimum": 0}
        forms.append(_object(ends | {"log": {"type": "boolean"}, "step": step}, required=list(ends)))
    return {"anyOf": forms}


def _concrete(slot: Slot) -> Json:
    """The schema of one value. The text "none" stands for null, which TOML lacks."""
    parts = slot.schema.get("anyOf", [])
    if not any(part.get("type") == "null" for part in parts):
        return dict(slot.schema)
    real = [part for part in parts if part.get("type") != "null"]
    return {"anyOf": [*real, {"const": "none"}]} if slot.optional else dict(real[0])


def _described(slot: Slot, schema: Json) -> Json:
    default = {} if slot.default is None or slot.shape else {"default": slot.default}
    return {"description": slot.description, **default, **schema}


def _object(properties: Mapping[str, Any], required: list[str] | None = None) -> Json:
    schema = {"type": "object", "additionalProperties": False, "properties": dict(properties)}
    return schema | ({"required": required} if required else {})


def _list(items: Json) -> Json:
    return {"type": "array", "minItems": 1, "uniqueItems": True, "items": items}


if __name__ == "__main__":
    SHIPPED.write_text(schema_text(study_schema()), encoding="utf-8")
