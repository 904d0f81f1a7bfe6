"""Descriptions of the tables and fields of a study file, derived from the records. The readers follow them.

A table whose record comes in variants (`norm.kind`, `optimizer.name`, ...) has a *tag*, the field that says which
variant is meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import ConfigDict, Field, TypeAdapter
from pydantic.fields import FieldInfo

from hpo.studyfile.custom import Argument, WholeEnd
from hpo.studyfile.records import (
    CheckpointsTable,
    DataTable,
    FunctionCall,
    Init,
    Record,
    SearchTable,
    StudyTable,
    Training,
    TrialConfig,
    TrialResources,
)
from hpo.studyfile.tree import Range

FIXED_TABLES: dict[str, type[Record]] = {
    "study": StudyTable,
    "data": DataTable,
    "search": SearchTable,
    "checkpoints": CheckpointsTable,
}
"""Tables about the study as a whole: no ranges, no choices."""

NEVER_SEARCHED: dict[tuple[type[Record], str], str] = {
    (Training, "epochs"): "pruning compares trials at the same epoch, so all trials train equally long",
    (FunctionCall, "function"): "a study has one training function; an argument can tell it which way to go",
    (FunctionCall, "seconds"): "all trials have the same limit",
    **{(TrialResources, name): "all trials get the same" for name in TrialResources.model_fields},
}
"""Fields of searched tables that cannot be searched, with the reason."""

OF_MODELS = ("model", "optimizer")
"""Searched tables that a study must have, unless a training function of the user's own trains."""
OF_FUNCTIONS = ("trial", "training")
"""Searched tables that a study of such a function may have."""

SHORTHANDS = ("search.sampler", "search.pruner")
"""Tables with a tag that may be written as the tag alone: `sampler = "tpe"`."""

TAGGED_RECORDS: dict[type[Record], tuple[str, dict[str, str]]] = {
    Init: ("scheme", {"std": "small_normal", "value": "constant"}),
}
"""Single records that are used like variants: the tag, and the value of the tag that each special field needs."""


@dataclass(frozen=True, kw_only=True)  # without slots, in which nothing could be cached
class Slot:
    """The values that one field accepts."""

    name: str
    description: str
    required: bool
    default: Any
    """As read from TOML; None if it is absent by default."""
    optional: bool
    """Whether the field can be absent, which the text "none" stands for."""
    fixed: str | None
    """Why the field can never be searched; None: it can."""
    shape: Shape | None
    """For a field that is a table."""
    allowed: Any
    """The type of one concrete value with its bounds; None for a table."""

    @cached_property
    def adapter(self) -> TypeAdapter[Any] | None:
        """Checks one concrete value; None for a table. Made when it is needed: most studies write few of the fields."""
        return None if self.shape else TypeAdapter(self.allowed, config=ConfigDict(strict=True))

    @cached_property
    def schema(self) -> Mapping[str, Any]:
        """JSON Schema of one concrete value; empty for a table."""
        return self.adapter.json_schema() if self.adapter else {}

    @property
    def by_name(self) -> Mapping[str, Any] | None:
        """JSON Schema of the values, if the value may be a table of plain values under names that the user chooses."""
        tables = [part for part in self.schema.get("anyOf", [self.schema]) if part.get("type") == "object"]
        return tables[0]["additionalProperties"] if tables else None

    @property
    def number(self) -> str | None:
        """ "integer" or "number" if the field can be a range, else None."""
        kinds = {part.get("type") for part in self.schema.get("anyOf", [self.schema])} - {"null"}
        return next(iter(kinds)) if kinds in ({"integer"}, {"number"}) else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """The fields that one table accepts."""

    tag_slot: Slot | None
    """Field that names the variant; None: there is one variant, under the name ""."""
    variants: Mapping[str, Mapping[str, Slot]]
    """Fields of each variant, without the tag."""
    default: str | None
    """The variant that is meant where the tag is absent."""
    descriptions: Mapping[str, str]
    """One line about each variant."""
    free: bool = False
    """Whether the table accepts any key: the arguments of the user's own module."""

    @property
    def tag(self) -> str | None:
        """Name of the tag."""
        return self.tag_slot.name if self.tag_slot else None

    def fields(self, variant: str) -> list[str]:
        """Names of a variant's fields, the tag first."""
        return [*([self.tag] if self.tag else []), *self.variants[variant]]

    def slots(self, variant: str, written: Mapping[str, Any]) -> Mapping[str, Slot]:
        """The descriptions of a variant's fields; for a free table, those of the fields that are written."""
        if self.free:
            return {key: argument_slot(key, written[key]) for key in sorted(written)}
        return self.variants[variant]

    def takes(self, variant: str, key: str) -> bool:
        """Whether the variant has the field."""
        return self.free or key in self.fields(variant)

    def owners(self, key: str) -> list[str]:
        """The variants that have the field."""
        return [variant for variant in self.variants if key in self.fields(variant)]


@cache
def shape_of(*records: type[Record], tag: str | None = None) -> Shape:
    """The shape of a table that holds one of the records; `tag` tells several apart."""
    if tag is not None:
        variants = {get_args(record.model_fields[tag].annotation)[0]: record for record in records}
        return Shape(
            tag_slot=_tag_slot(tag, variants, description="Which one."),
            variants={label: _slots(record, without=tag) for label, record in variants.items()},
            default=None,
            descriptions={label: record.__doc__ or "" for label, record in variants.items()},
        )
    (record,) = records
    if record not in TAGGED_RECORDS:
        return Shape(tag_slot=None, variants={"": _slots(record)}, default="", descriptions={})
    tag, owners = TAGGED_RECORDS[record]
    field = record.model_fields[tag]
    slots = _slots(record, without=tag)
    labels = get_args(field.annotation)
    return Shape(
        tag_slot=_tag_slot(tag, labels, description=field.description or ""),
        variants={
            label: {name: slot for name, slot in slots.items() if owners.get(name, label) == label} for label in labels
        },
        default=field.default,
        descriptions={},
    )


FREE = Shape(tag_slot=None, variants={"": {}}, default="", descriptions={}, free=True)
"""The shape of a table whose keys depend on the user's own module."""


def argument_slot(name: str, found: Any = None) -> Slot:
    """The description of an argument of the user's own module. `found`: its value; a range is one of whole numbers if
    its ends and its step are whole."""
    allowed: Any = Argument
    if isinstance(found, Range):
        found = {"low": found.low, "high": found.high, "step": found.step}
    if isinstance(found, dict) and "choice" not in found:
        ends = [found[key] for key in ("low", "high", "step") if found.get(key) is not None]
        allowed = WholeEnd if ends and all(type(end) is int for end in ends) else float
    return Slot(
        name=name,
        description="",
        required=False,
        default=None,
        optional=False,
        fixed=None,
        shape=None,
        allowed=allowed,
    )


def _tag_slot(tag: str, labels: Iterable[str], description: str) -> Slot:
    return Slot(
        name=tag,
        description=description,
        required=True,
        default=None,
        optional=False,
        fixed=None,
        shape=None,
        allowed=Literal[tuple(labels)],
    )


@cache
def searched_tables() -> Mapping[str, Slot]:
    """The tables whose values may be ranges and choices, in the order in which they are drawn."""
    return {name: slot for name, slot in _slots(TrialConfig).items() if slot.shape}


def homes_of(key: str) -> list[str]:
    """The tables that have a field of this name."""
    tables = {name: shape_of(record) for name, record in FIXED_TABLES.items()}
    tables |= {name: slot.shape for name, slot in searched_tables().items() if slot.shape}
    return [name for name, shape in tables.items() if shape.owners(key)]


def _slots(record: type[Record], without: str | None = None) -> Mapping[str, Slot]:
    return {name: _slot(record, name, field) for name, field in record.model_fields.items() if name != without}


def _slot(record: type[Record], name: str, field: FieldInfo) -> Slot:
    arms = [arm for arm in get_args(field.annotation) or (field.annotation,) if arm is not NoneType]
    tables = [arm for arm in arms if isinstance(arm, type) and issubclass(arm, Record)]
    shape = shape_of(*tables, tag=field.discriminator) if tables else None
    if get_origin(field.annotation) is dict and get_args(field.annotation)[1] is Argument:
        shape = FREE
    return Slot(
        name=name,
        description=" ".join((field.description or "").split()),
        required=field.is_required(),
        default=None if field.is_required() else _as_toml(field.default),
        optional=NoneType in get_args(field.annotation) and str not in get_args(field.annotation),
        fixed=NEVER_SEARCHED.get((record, name)),
        shape=shape,
        allowed=None if shape else _allowed(field),
    )


def _allowed(field: FieldInfo) -> Any:
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else None
    return Annotated[(field.annotation, Field(json_schema_extra=extra), *field.metadata)]


def _as_toml(default: Any) -> Any:
    if isinstance(default, Record):
        return default.model_dump(mode="json")
    return list(default) if isinstance(default, tuple) else default
