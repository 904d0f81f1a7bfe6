"""The part of JSON Schema that the study schema uses, in a page: tests need no library for it."""

from __future__ import annotations

import re
from typing import Any

TYPES = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
SILENT = {"$schema", "title", "description", "default", "definitions"}
"""Keywords that check nothing."""


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    """Whether the value obeys the schema; an unknown keyword is an error of the schema."""
    if "$ref" in schema:
        return accepts(root["definitions"][schema["$ref"].removeprefix("#/definitions/")], value, root)
    if "type" in schema and not _holds("type", schema["type"], schema, value, root):
        return False
    return all(_holds(keyword, rule, schema, value, root) for keyword, rule in schema.items() if keyword not in SILENT)


def _holds(keyword: str, rule: Any, schema: dict[str, Any], value: Any, root: dict[str, Any]) -> bool:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    match keyword:
        case "type":
            return isinstance(value, TYPES[rule]) and (rule == "boolean" or not isinstance(value, bool))
        case "const":
            return bool(value == rule)
        case "enum":
            return value in rule
        case "anyOf":
            return any(accepts(inner, value, root) for inner in rule)
        case "not":
            return not accepts(rule, value, root)
        case "required":
            return isinstance(value, dict) and value.keys() >= set(rule)
        case "additionalProperties":
            further = value.keys() - schema.get("properties", {}).keys() if isinstance(value, dict) else set()
            if isinstance(rule, bool):
                return rule or not further
            return all(accepts(rule, value[key], root) for key in further)
        case "propertyNames":
            return isinstance(value, dict) and all(accepts(rule, key, root) for key in value)
        case "properties":
            return isinstance(value, dict) and all(accepts(rule[key], value[key], root) for key in rule.keys() & value)
        case "items":
            return isinstance(value, list) and all(accepts(rule, item, root) for item in value)
        case "uniqueItems":
            return all(item not in value[:place] for place, item in enumerate(value))
        case "minItems":
            return len(value) >= rule
        case "maxItems":
            return len(value) <= rule
        case "minLength":
            return len(value) >= rule
        case "pattern":
            return bool(re.search(rule, value))
        case "multipleOf":
            return number and value % rule == 0
        case "minimum":
            return number and value >= rule
        case "maximum":
            return number and value <= rule
        case "exclusiveMinimum":
            return number and value > rule
        case "exclusiveMaximum":
            return number and value < rule
    raise AssertionError(f"the schema uses {keyword}, which this page does not know")
