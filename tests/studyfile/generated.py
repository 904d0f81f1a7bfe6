"""Random valid study files, generated from the records: every field fixed, a range or a choice, every table
fixed or a choice of tables."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from hpo.studyfile.fields import OF_MODELS, Shape, Slot, argument_slot, searched_tables
from hpo.studyfile.records.model import EQUAL
from hpo.studyfile.tree import toml

UNSUITED: dict[str, tuple[str, ...]] = {
    "mlp": ("group", "spatial", "attention"),
    "cnn": ("attention",),
    "recurrent": ("spatial", "attention"),
    "transformer": ("batch", "group", "placement", "spatial"),
    "custom": (),
}
"""Family -> variants and fields that it has no use for."""

LEAST = {"batch_size": 2}
"""Values from which a field suits every variant: batch normalisation refuses batches of one example."""

OWN = ("init", "norm", "dropout")
"""Tables that a module of the user's own has no use for."""


@st.composite
def study_texts(draw: st.DrawFn) -> str:
    """A valid study file as TOML."""
    family = draw(st.sampled_from([*UNSUITED, "function"]))
    if family == "function":
        return draw(_function_texts())
    without = (*UNSUITED[family], *(other for other in UNSUITED if other != family))
    document: dict[str, Any] = {"study": {"name": "s", "seed": draw(st.integers(0, 9))}, "data": {"dataset": "digits"}}
    for name, slot in searched_tables().items():
        assert slot.shape is not None
        if name == "trial":
            continue
        if name in OF_MODELS or (draw(st.booleans()) and not (family == "custom" and name in OWN)):
            document[name] = draw(_tables(slot.shape, without))
    return "\n".join(f"{name} = {toml(table)}" for name, table in document.items())


@st.composite
def _function_texts(draw: st.DrawFn) -> str:
    document: dict[str, Any] = {
        "study": {"name": "s", "seed": draw(st.integers(0, 9)), "objective": "score", "direction": "minimize"},
        "trial": {"function": "train.py:train", "arguments": draw(_arguments())},
        "training": {"epochs": draw(st.integers(2, 9))},
    }
    return "\n".join(f"{name} = {toml(table)}" for name, table in document.items())


def _tables(shape: Shape, without: tuple[str, ...], *, optional: bool = False) -> st.SearchStrategy[Any]:
    one = st.sampled_from([variant for variant in shape.variants if variant not in without]).flatmap(
        lambda variant: _table(shape, variant, without)
    )
    options = one | st.just("none") if optional else one
    several = st.lists(options, min_size=1, max_size=3, unique_by=toml).map(lambda tables: {"choice": tables})
    return st.one_of(options, several)


@st.composite
def _table(draw: st.DrawFn, shape: Shape, variant: str, without: tuple[str, ...]) -> dict[str, Any]:
    table: dict[str, Any] = {shape.tag: variant} if shape.tag else {}
    for slot in shape.variants[variant].values():
        if slot.name in without or slot.fixed or not (slot.required or draw(st.booleans())):
            continue
        if slot.shape is None:
            table[slot.name] = draw(_values(slot))
        elif slot.shape.free:
            table[slot.name] = draw(_arguments())
        else:
            table[slot.name] = draw(_tables(slot.shape, without, optional=slot.optional))
    if EQUAL.keys() & table.keys():
        table.pop("hidden", None)
    for names, ways in (
        (("number_vector",), ("periodic", "piecewise_linear")),
        (("frequencies", "sigma"), ("periodic",)),
        (("bins",), ("piecewise_linear",)),
    ):
        for name in names if table.get("numbers") not in ways else ():
            table.pop(name, None)
    if "recurrent" in without and "cell" in repr(table.get("placement")):
        table.pop("placement")
    if table.get("average", "none") == "none":
        table.pop("average_decay", None)  # of which there is none
    return table


def _arguments() -> st.SearchStrategy[Any]:
    """Arguments of a module of the user's own, and choices of such tables."""
    slots = (argument_slot(""), argument_slot("", {"low": 0}), argument_slot("", {"low": 0.5}))
    tables = st.dictionaries(st.sampled_from(["width", "p", "low", "_a1"]), st.one_of(*map(_values, slots)), max_size=3)
    several = st.lists(tables, min_size=1, max_size=3, unique_by=toml).map(lambda options: {"choice": options})
    return st.one_of(tables, several)


def _values(slot: Slot) -> st.SearchStrategy[Any]:
    schema = slot.schema["anyOf"][0] if slot.optional else dict(slot.schema)
    if slot.name in LEAST:
        schema = {**schema, "minimum": LEAST[slot.name]}
    concrete = _concrete(schema)
    options = concrete | st.just("none") if slot.optional else concrete
    choice = st.lists(options, min_size=1, max_size=3, unique_by=_told_apart).map(lambda values: {"choice": values})
    ranges = [_ranges(concrete, slot.number)] if slot.number and "not" not in schema else []
    return st.one_of(options, choice, *ranges)


def _told_apart(value: Any) -> str:
    """Equal for options that a choice cannot tell apart: 1, 1.0 and true, or "1-2" and [1, 2]."""
    if isinstance(value, list):
        return "-".join(map(_told_apart, value)) or "none"
    return str(float(value)) if isinstance(value, int | float) else value


def _concrete(schema: Any) -> st.SearchStrategy[Any]:
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if "anyOf" in schema:
        return st.one_of(*map(_concrete, schema["anyOf"]))
    match schema["type"]:
        case "boolean":
            return st.booleans()
        case "string":
            return st.sampled_from(["net.py:Net", "package.nets:Net"] if "pattern" in schema else ["relu", "a b", ""])
        case "integer":
            low = schema.get("minimum", 0)
            numbers = st.integers(low, min(schema.get("maximum", low + 40), low + 40))
            return numbers.filter(lambda number: "not" not in schema or number % 2)
        case "number":
            below = schema.get("exclusiveMaximum", schema.get("maximum", 8))
            low = schema.get("exclusiveMinimum", schema.get("minimum", -8))
            eighths = st.integers(int(low * 8), int(below * 8)).map(lambda eighth: eighth / 8)
            return eighths.filter(
                lambda x: x > schema.get("exclusiveMinimum", -9) and x < schema.get("exclusiveMaximum", 9)
            )
        case "array":
            return st.lists(_concrete(schema["items"]), min_size=schema.get("minItems", 0), max_size=3)
    raise AssertionError(f"no values for {schema}")


def _ranges(ends: st.SearchStrategy[Any], kind: str) -> st.SearchStrategy[dict[str, Any]]:
    def written(pair: list[Any], form: str) -> dict[str, Any]:
        low, high = sorted(pair)
        if form == "log" and low > 0:
            return {"low": low, "high": high, "log": True}
        if form == "step":
            return {"low": low, "high": high, "step": (1 if kind == "integer" else 0.125)}
        return {"low": low, "high": high}

    pairs = st.lists(ends, min_size=2, max_size=2, unique=True)
    return st.builds(written, pairs, st.sampled_from(["plain", "log", "step"]))
