"""The JSON Schema: shipped as generated, accepts what the reader accepts, refuses its plain mistakes."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from hpo.studyfile.fields import FIXED_TABLES, Shape, searched_tables, shape_of
from hpo.studyfile.schema import SHIPPED, schema_text, study_schema
from tests.studyfile.generated import study_texts
from tests.studyfile.miniature import accepts
from tests.studyfile.test_mistakes import CHOICES, NAMES, OWN_MODULES, RANGES, TYPES
from tests.studyfile.test_rules import ACCEPTED
from tests.studyfile.texts import study_text

SCHEMA = study_schema()

BEYOND = (
    "an empty range",
    "log range",
    "steps of",
    "floating point",
    "more steps than",
    "goes into every",
    "which contains",
    "optimizer.momentum: unknown key",
    "found nan",
    "found inf",
)
"""Words of messages about what JSON Schema cannot express."""

VISIBLE = [
    tables
    for tables, message in [*NAMES, *TYPES, *RANGES, *CHOICES, *OWN_MODULES]
    if not any(words in message for words in BEYOND)
]


def valid(text: str) -> bool:
    return accepts(SCHEMA, tomllib.loads(text), SCHEMA)


def test_the_shipped_schema_is_the_generated_one() -> None:
    assert SHIPPED.read_text(encoding="utf-8") == schema_text(SCHEMA), "run: python -m hpo.studyfile.schema"


@pytest.mark.parametrize("path", sorted(Path("studies").glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_studies_obey_the_schema(path: Path) -> None:
    assert valid(path.read_text())


@pytest.mark.parametrize("tables", ACCEPTED)
def test_what_the_reader_accepts_obeys_the_schema(tables: dict[str, str]) -> None:
    assert valid(study_text(**tables))


@settings(max_examples=60, deadline=None)
@given(study_texts())
def test_any_valid_study_obeys_the_schema(text: str) -> None:
    assert valid(text)


@pytest.mark.parametrize("tables", VISIBLE)
def test_the_schema_refuses_what_it_can_see(tables: dict[str, str]) -> None:
    assert not valid(study_text(**tables))


def test_fields_say_what_they_mean() -> None:
    undescribed = [path for path, slot in _slots() if not slot.description]
    assert undescribed == []


def test_searched_numbers_admit_ranges_and_fixed_ones_do_not() -> None:
    assert valid(study_text(dropout="p = { low = 0.0, high = 0.5 }"))
    assert not valid(study_text(training="epochs = { low = 1, high = 5 }"))
    assert not valid(study_text(study="seed = { low = 1, high = 5 }"))


def test_every_table_is_there() -> None:
    assert list(SCHEMA["properties"]) == [*FIXED_TABLES, *searched_tables()]
    assert json.loads(schema_text(SCHEMA)) == SCHEMA


def _slots() -> Iterator[tuple[str, Any]]:
    def inside(shape: Shape, path: str) -> Iterator[tuple[str, Any]]:
        for fields in shape.variants.values():
            for slot in fields.values():
                yield f"{path}.{slot.name}", slot
                if slot.shape:
                    yield from inside(slot.shape, f"{path}.{slot.name}")

    for name, record in FIXED_TABLES.items():
        yield from inside(shape_of(record), name)
    for name, slot in searched_tables().items():
        yield name, slot
        assert slot.shape is not None
        yield from inside(slot.shape, name)
