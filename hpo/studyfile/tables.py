"""Reads the tables of a study file: keys, variants and choices of tables. `hpo.studyfile.values` reads the values.

The result is normalised: keys in the order of the records (so that the order in the file changes nothing), the
tag first, the keys beside `choice` merged into every option, `name = { choice = [...] }` spelled out as a choice
of tables.
"""

from __future__ import annotations

import keyword
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hpo.studyfile.custom import ARGUMENT_PATTERN
from hpo.studyfile.fields import Shape, homes_of
from hpo.studyfile.problems import Problem, listing, nearest, quote, unknown_key
from hpo.studyfile.tree import Choice, join
from hpo.studyfile.values import check_value, read_value

UNTAGGED = "choice"
"""The tag of a choice of tables without a field that tells them apart."""


def read_table(
    found: Any, shape: Shape, path: str, problems: list[Problem], *, searched: bool, optional: bool = False
) -> dict[str, Any] | Choice | None:
    """The table as a dict or as a Choice of dicts; None if it is absent, or broken with a problem noted."""
    if optional and found == "none":
        return None
    if not isinstance(found, dict):
        way_out = f". Write [{path}] and `choice = [...]`" if isinstance(found, list) else _example(shape)
        problems.append(Problem(path=path, text=f"found {quote(found)}; must be a table{way_out}"))
        return None
    if "choice" not in found and not _tag_is_searched(found, shape):
        variant = _variant(found, shape, path, problems)
        return None if variant is None else _fields(found, variant, shape, path, problems, searched=searched)
    if not searched:
        text = f"found a choice; [{path.split('.')[0]}] cannot be searched. Write one table"
        problems.append(Problem(path=path, text=text))
        return None
    return _read_choice(found, shape, path, problems, optional=optional)


def _fields(
    written: Mapping[str, Any],
    variant: str,
    shape: Shape,
    path: str,
    problems: list[Problem],
    *,
    searched: bool,
    shared: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The fields of one variant. Problems with shared keys are noted at the table where these stand."""
    shared = shared or {}
    table: dict[str, Any] = {shape.tag: variant} if shape.tag else {}
    strange = [key for key in written if not shape.takes(variant, key) and key not in shared]
    problems.extend(_unknown(key, variant, shape, path) for key in strange)
    if shape.free:
        problems.extend(_no_argument(key, shared.get(key, path)) for key in written if not _is_argument(key))
    for slot in shape.slots(variant, written).values():
        place = join(shared.get(slot.name, path), slot.name)
        if slot.name not in written:
            if slot.required:
                problems.append(Problem(path=place, text=f"missing; {slot.description}"))
            continue
        value = written[slot.name]
        if slot.shape is None:
            table[slot.name] = read_value(value, slot, place, problems, searched=searched)
        else:
            table[slot.name] = read_table(value, slot.shape, place, problems, searched=searched, optional=slot.optional)
    return table


def _variant(written: Mapping[str, Any], shape: Shape, path: str, problems: list[Problem]) -> str | None:
    """The variant that the tag names."""
    if shape.tag_slot is None:
        return ""
    place = join(path, shape.tag_slot.name)
    name = written.get(shape.tag_slot.name, shape.default)
    if name is None:
        close = nearest(shape.tag_slot.name, written)
        written_as = f" (is {close} it?)" if close else ""
        text = f"missing{written_as}; must be one of {listing(shape.variants)}"
        problems.append(Problem(path=place, text=text))
        return None
    variant: str | None = check_value(name, shape.tag_slot, place, problems)
    return variant


def _tag_is_searched(written: Mapping[str, Any], shape: Shape) -> bool:
    return shape.tag is not None and isinstance(written.get(shape.tag), dict)


def _unknown(key: str, variant: str, shape: Shape, path: str) -> Problem:
    if owners := shape.owners(key):
        advice = f"{quote(variant)} has no {key}; {listing(owners)} {'has' if len(owners) == 1 else 'have'}"
    elif homes := homes_of(key):
        advice = f"It belongs in {' or '.join(f'[{home}]' for home in homes)}"
    else:
        advice = ""
    return unknown_key(join(path, key), key, shape.fields(variant), advice)


def _is_argument(key: str) -> bool:
    return bool(re.match(ARGUMENT_PATTERN, key)) and not keyword.iskeyword(key)


def _no_argument(key: str, path: str) -> Problem:
    text = "is no name that a Python function can give an argument; rename it"
    return Problem(path=join(path, quote(key)), text=text)


def _example(shape: Shape) -> str:
    return f', e.g. {{ {shape.tag} = "{next(iter(shape.variants))}" }}' if shape.tag else " of keys and values"


# --- choices of tables -------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One table of a choice."""

    variant: str | None
    """The variant that its tag names; None for the absent table."""
    written: Mapping[str, Any]
    """Keys as in the file, the shared ones included."""
    shared: Mapping[str, str]
    """Keys that go into several options, each with the path of the table where it stands."""


def _read_choice(
    found: Mapping[str, Any], shape: Shape, path: str, problems: list[Problem], *, optional: bool
) -> Choice | None:
    before = len(problems)
    options = list(_options(found, shape, path, problems, optional=optional))
    labels = _labels(options)
    tables: list[dict[str, Any] | None] = []
    for label, option in zip(labels, options, strict=True):
        table = None
        if option.variant is not None:
            place = join(path, label)
            table = _fields(option.written, option.variant, shape, place, problems, searched=True, shared=option.shared)
        if table in tables and len(problems) == before:
            text = f"found {quote(table)} twice; the options of a choice differ"
            problems.append(Problem(path=join(path, "choice"), text=text))
        tables.append(table)
    problems.extend(_misfits(options, shape))
    if len(problems) > before:
        return None
    return Choice(options=tuple(tables), labels=tuple(labels), tag=shape.tag or UNTAGGED)


def _options(
    found: Mapping[str, Any], shape: Shape, path: str, problems: list[Problem], *, optional: bool
) -> Iterator[Option]:
    """The options with the keys beside `choice` merged in; one with a choice of tags becomes several."""
    listed = found.get("choice", [{}])
    if not isinstance(listed, list) or not listed:
        text = f"found {quote(listed)}; must be a list of one table or more"
        problems.append(Problem(path=join(path, "choice"), text=text))
        return
    siblings = {key: value for key, value in found.items() if key != "choice"}
    for number, own in enumerate(listed, start=1):
        place = f"{path}.choice#{number}"
        if optional and own == "none":
            yield Option(variant=None, written={}, shared={})
            continue
        if not isinstance(own, dict):
            text = f"found {quote(own)}; an option must be a table{_example(shape)}"
            problems.append(Problem(path=place, text=text))
            continue
        written = siblings | own
        shared = dict.fromkeys(siblings.keys() - own.keys(), path)
        if not _tag_is_searched(written, shape):
            variant = _variant(written, shape, place, problems)
            if variant is not None:
                yield Option(variant=variant, written=written, shared=shared)
            continue
        assert shape.tag_slot is not None
        tag = shape.tag_slot.name
        where = join(shared.get(tag, place), tag)
        names = read_value(written[tag], shape.tag_slot, where, problems, searched=True)
        for name in names.options if names else ():
            everywhere = {key: shared.get(key, place) for key in written}
            yield Option(variant=name, written=written | {tag: name}, shared=everywhere)


def _labels(options: Sequence[Option]) -> list[str]:
    """One distinct name per option: its variant or the keys it sets; `#2` marks the second of a name."""
    seen: Counter[str] = Counter()
    labels = []
    for option in options:
        own = "+".join(key for key in sorted(option.written) if key not in option.shared)
        name = option.variant or own or "none"
        seen[name] += 1
        labels.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    return labels


def _misfits(options: Sequence[Option], shape: Shape) -> Iterator[Problem]:
    """Problems with shared keys that some option does not have."""
    places = {(key, place) for option in options for key, place in option.shared.items()}
    for key, place in sorted(places):
        sharers = [option.variant for option in options if option.shared.get(key) == place]
        variants = list(dict.fromkeys(variant for variant in sharers if variant is not None))
        without = [variant for variant in variants if not shape.takes(variant, key)]
        having = [variant for variant in variants if variant not in without]
        if without and not having:
            yield _unknown(key, without[0], shape, place)
        elif without:
            text = (
                f"goes into every option, but {listing(without)} {'has' if len(without) == 1 else 'have'} no {key}. "
                f"Move it into the options of `choice = [...]` that have it: {listing(having)}"
            )
            yield Problem(path=join(place, key), text=text)
