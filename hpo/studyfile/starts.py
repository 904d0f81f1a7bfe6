"""`search.start`: configurations of the user's own that a study tries first, as values by the names of parameters.

A configuration names parameters as everywhere (`"optimizer.learning_rate" = 0.1`) or as the study file does
(`optimizer = { learning_rate = 0.1 }`), some of them or all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from hpo.studyfile.problems import Problem, hint, listing, quote
from hpo.studyfile.searched import Conditions, Searched, searched
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import Choice, Label, Range, join


def given_starts(spec: StudySpec) -> list[dict[str, Label]]:
    """The values of each configuration, by the parameter's name. The file has been checked."""
    known = searched(spec.tree)
    return [_values(_flat(start, ""), known) for start in spec.search.start]


def starts_can_be_drawn(spec: StudySpec) -> Iterator[Problem]:
    """The rule that the configurations lie in the space of the study."""
    known = searched(spec.tree) if spec.search.start else {}
    for number, start in enumerate(spec.search.start, start=1):
        place, flat = f"search.start#{number}", _flat(start, "")
        if not flat:
            yield Problem(path=place, text="has no value. Name a parameter, or remove it")
        values = _values(flat, known)
        for path, value in flat.items():
            name = _name(path, flat, known)
            if name is None:
                yield _unknown(join(place, path), path, known)
            elif name not in values:
                text = f"found {quote(value)}; the study searches {_words(known[name].node)}"
                yield Problem(path=join(place, path), text=text)
            elif lacking := [other for other, labels in known[name].conditions if values.get(other) not in labels]:
                them = " and ".join(_condition(known[name].conditions, other) for other in lacking)
                text = f"found {quote(value)}, but it is searched only where {them}. Give that, too, or remove it"
                yield Problem(path=join(place, path), text=text)


def warm_starts_are_others(spec: StudySpec) -> Iterator[Problem]:
    """The rule that a study does not start from itself, nor twice from the same one."""
    for number, name in enumerate(spec.search.warm_start, start=1):
        if name == spec.study.name:
            text = f"found {quote(name)}, the study itself. Name others of its database, or remove it"
            yield Problem(path=f"search.warm_start#{number}", text=text)
        elif name in spec.search.warm_start[: number - 1]:
            yield Problem(path=f"search.warm_start#{number}", text=f"found {quote(name)} twice. Remove one")


def _flat(start: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The values by dotted path, however the tables are nested."""
    found: dict[str, Any] = {}
    for key, value in start.items():
        place = join(path, key)
        found |= _flat(value, place) if isinstance(value, Mapping) else {place: value}
    return found


def _values(flat: Mapping[str, Any], known: Mapping[str, Searched]) -> dict[str, Label]:
    """Those of the values that their parameters may have, as a draw gives them."""
    named = ((_name(path, flat, known), value) for path, value in flat.items())
    found = ((name, _drawn(known[name].node, value)) for name, value in named if name is not None)
    return {name: value for name, value in found if value is not None}


def _name(path: str, flat: Mapping[str, Any], known: Mapping[str, Searched]) -> str | None:
    """The name of the parameter at a path. A study file leaves out the label of the table that it stands in."""
    if path in known:
        return path
    for name, parameter in known.items():
        for other, labels in parameter.conditions:
            if len(labels) == 1 and flat.get(other) == labels[0]:
                table = other.rpartition(".")[0]
                if name.startswith(within := f"{join(table, str(labels[0]))}.") and path == join(
                    table, name.removeprefix(within)
                ):
                    return name
    return None


def _drawn(node: Range | Choice, value: Any) -> Label | None:
    """The value as a draw gives it: the label of an option, a float of a continuous range; None if it may not be."""
    if isinstance(node, Choice):
        if isinstance(value, str | int | float) and any(_same(value, label) for label in node.labels):
            return next(label for label in node.labels if _same(value, label))
        return next((n for option, n in zip(node.options, node.labels, strict=True) if _same(option, value)), None)
    if isinstance(value, bool) or not isinstance(value, int | float) or not node.low <= value <= node.high:
        return None
    whole = isinstance(node.low, int)
    step = node.step if node.step is not None else 1 if whole else None
    if step is not None and (Decimal(str(value)) - Decimal(str(node.low))) % Decimal(str(step)):
        return None
    return int(value) if whole else float(value)


def _same(one: Any, other: Any) -> bool:
    """Whether two values are equal; true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _unknown(place: str, path: str, known: Mapping[str, Searched]) -> Problem:
    text = f"no such parameter is searched.{hint(path, known)} Searched: {listing(known) or 'nothing'}"
    return Problem(path=place, text=text)


def _condition(conditions: Conditions, other: str) -> str:
    return f"{other} is {' or '.join(map(str, dict(conditions)[other]))}"


def _words(node: Range | Choice) -> str:
    return listing(node.labels) if isinstance(node, Choice) else quote(node)
