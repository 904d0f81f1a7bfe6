"""The file of a study with changes: finds the places of parameters in a study file, and writes it as TOML in which each
change has its reason as a comment. Which changes are made is decided elsewhere."""

from __future__ import annotations

import copy
import textwrap
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from hpo.errors import StudyFileError
from hpo.paths import argument
from hpo.printable import on_one_line
from hpo.reports.next_study.change import Change, Wish
from hpo.studyfile.file import parse_study
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tree import Choice, toml, toml_key

WIDTH = 100
"""Columns of a comment."""
SCHEMA = "#:schema "
"""Begins a first line by which editors find the schema."""


def text_with(spec: StudySpec, name: str, wished: Sequence[Wish]) -> tuple[str, tuple[Change, ...]]:
    """The text of the study under another name, with those of the changes that leave it valid, one after the other, and
    these changes. The study's own comments are not in it."""
    document = tomllib.loads(spec.text)
    document["study"]["name"] = name
    made: list[Change] = []
    for one in wished:
        tried = copy.deepcopy(document)
        if not _carried_out(tried, spec.tree, one):
            continue
        try:
            parse_study(_text(spec, tried, ()), spec.source)
        except StudyFileError:
            continue
        document = tried
        made.append(one.change)
    return _text(spec, document, made), tuple(made)


def _carried_out(document: dict[str, Any], tree: dict[str, Any], one: Wish) -> bool:
    """Whether the change has a place; if so, it is made there."""
    table, *keys = one.change.path.split(".")
    if table not in tree or one.change.path == "training.epochs":  # one value, which may be absent
        document.setdefault(table, {})[keys[0]] = one.edit(None, None)
        return True
    places = list(_places(document, table, tree[table], keys))
    for holder, key, node in places:
        holder[key] = one.edit(holder[key], node)
    return bool(places)


def _places(
    holder: dict[str, Any], key: str, node: Any, keys: Sequence[str]
) -> Iterator[tuple[dict[str, Any], str, Any]]:
    """(table, key, node) of each place where a parameter stands. `keys`: its name below `holder[key]`; `node`: what
    that was read as."""
    written = holder.get(key)
    if not keys:
        yield holder, key, node
    elif isinstance(node, Choice) and isinstance(written, dict) and node.tag is not None:
        if list(keys) == [node.tag]:
            # `norm.choice` lists tables; of `init.scheme`, which may be written as a choice of values, they are made.
            yield (holder, key, node) if "choice" in written else (written, node.tag, node)
            return
        options = list(zip(node.labels, node.options, written.get("choice", ()), strict=False))
        if keys[0] in written and keys[0] != "choice":  # beside the choice, for all of its tables
            inside = next((option[keys[0]] for _, option, _ in options if option and keys[0] in option), None)
            if inside is not None:
                yield from _places(written, keys[0], inside, keys[1:])
        for label, option, table in options:
            if not isinstance(table, dict) or not isinstance(option, dict):
                continue
            below = keys[1:] if keys[0] == str(label) and len(keys) > 1 else keys
            if below[0] in table:
                yield from _places(table, below[0], option.get(below[0]), below[1:])
    elif isinstance(node, dict) and isinstance(written, dict) and keys[0] in written:
        yield from _places(written, keys[0], node.get(keys[0]), keys[1:])


def _text(spec: StudySpec, document: dict[str, Any], made: Sequence[Change]) -> str:
    first = spec.text.splitlines()[0] if spec.text.startswith(SCHEMA) else None
    before = spec.study.name
    said = f"Study after {before}, written by `hpo init --from {argument(before)}`. "
    said += (
        f"Comments say what differs from the file of {before} and why; all else is as it was there."
        if made
        else f"Nothing that {before} found calls for a change."
    )
    head = [*([first] if first else []), *_comment(said)]
    tables = ["\n".join(head) + "\n"]
    for name, table in document.items():
        comments = [line for change in made if change.path.split(".")[0] == name for line in _comment(change.text)]
        lines = [line for key, value in table.items() for line in _lines(key, value)]
        tables.append("\n".join((f"[{toml_key(name)}]", *comments, *lines)) + "\n")
    return "\n".join(tables)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        on_one_line(text),
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def _lines(key: str, value: Any) -> list[str]:
    """A key and its value; a list of tables has a line for each."""
    if key == "choice" and isinstance(value, list) and any(isinstance(one, dict) for one in value):
        return ["choice = [", *(f"  {toml(one)}," for one in value), "]"]
    return [f"{toml_key(key)} = {toml(value)}"]
