"""Advice in messages names what exists: commands with their options, and keys of the study file."""

from __future__ import annotations

import ast
import re
import shlex
from collections import deque
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import click
import pytest

from hpo.cli import hpo
from hpo.studyfile.fields import FIXED_TABLES, Shape, searched_tables, shape_of
from hpo.studyfile.settings import RENAMED
from hpo.studyfile.tree import join

MODULES = sorted(path for path in Path("hpo").rglob("*.py") if "migrations" not in path.parts)
PLACEHOLDER = "5"
"""For what a message fills in: fits where a name, a path or a number is wanted."""
FILES = "csv|toml|py|json|html|md|pt|npz|db"


def texts(path: Path) -> Iterator[str]:
    """Every text of a module, neighbours joined as Python does, with a placeholder for what is filled in."""
    tree: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    unread = deque([(tree, False)])
    while unread:
        node, inside = unread.popleft()
        if isinstance(node, ast.JoinedStr):
            yield "".join(map(_piece, node.values))
            inside = True
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and not inside:
            yield node.value
        unread.extend((part, inside) for part in ast.iter_child_nodes(node))


def _piece(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    optional = re.search(r"options|_given|more|submit$", ast.unparse(part.value))
    return "" if optional else PLACEHOLDER


ADVISED = [
    (path, line)
    for path in MODULES
    if "hpo " in path.read_text(encoding="utf-8").replace("from hpo import", "")  # reading all takes seconds
    for text in texts(path)
    for line in re.findall(r"`(hpo [a-z][^`\n]*)`|: (hpo [a-z]+ (?:5|--|STUDY)[^\n]*?)(?=[.,;)]?(?:\n|$))", text)
    for line in line
    if line
]


def test_there_is_advice_to_look_at() -> None:
    assert len(ADVISED) > 40
    assert any("--epochs" in line for _, line in ADVISED)


@pytest.mark.parametrize(("path", "line"), ADVISED, ids=lambda value: str(value))
def test_an_advised_command_is_understood(path: Path, line: str) -> None:
    """Commands that are only mentioned go without their arguments."""
    _, name, *arguments = shlex.split(line)
    command = hpo.get_command(click.Context(hpo), name)
    if isinstance(command, click.Group) and arguments:
        command = command.get_command(click.Context(command), arguments.pop(0))
    assert command is not None, f"{path} advises `{line}`"
    filled = [PLACEHOLDER if argument.isupper() else argument for argument in arguments]
    parser = command.make_parser(click.Context(command))
    try:
        _, given, _ = parser.parse_args(list(filled))  # which it empties
    except click.BadOptionUsage:  # `hpo extend --epochs`: the option is only mentioned, too
        _, given, _ = parser.parse_args([*filled, PLACEHOLDER])
    except click.UsageError as error:
        pytest.fail(f"{path} advises `{line}`: {error.format_message()}")
    if not given:
        return
    wanted = [parameter for parameter in command.params if isinstance(parameter, click.Argument)]
    assert len(given) == len(wanted) or any(parameter.nargs == -1 for parameter in wanted), f"{path} advises `{line}`"


# --- keys ---------------------------------------------------------------------------------------------------


def keys_of(shape: Shape, path: str) -> Iterator[str]:
    yield path
    if shape.tag:
        yield join(path, shape.tag)
    for variant, slots in shape.variants.items():
        for slot in slots.values():
            place = join(path, slot.name)
            yield place
            if variant:
                yield join(join(path, variant), slot.name)
            if slot.shape:
                yield from keys_of(slot.shape, place)


KEYS = {key for name, record in FIXED_TABLES.items() for key in keys_of(shape_of(record), name)} | {
    key for name, slot in searched_tables().items() if slot.shape for key in keys_of(slot.shape, name)
}
TABLES = "|".join([*FIXED_TABLES, *searched_tables()])
OF_FUNCTIONS = {"trial.epochs", "trial.seed"}
"""What a training function asks its trial for, which is no key of a study file."""


def test_keys_that_are_named_exist() -> None:
    named = {
        (path, f"{table}.{key}")
        for path in MODULES
        for text in texts(path)
        for table, key in re.findall(rf"(?<![\w./{{`-])({TABLES})\.([a-z_]+(?:\.[a-z_]+)?)(?![\w/(])", text)
        if not re.fullmatch(FILES, key.split(".")[-1])
    }
    assert len(named) > 20
    earlier = {key for key, _ in RENAMED.values()}
    for path, key in sorted(named):
        assert key in KEYS | OF_FUNCTIONS | earlier or key.startswith("model.arguments"), f"{path} names {key}"


def test_what_an_advised_command_repeats_is_quoted() -> None:
    """A path or a name may hold spaces and quotes: `argument` of `hpo.paths` makes it one word of a shell."""
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                for before, part in pairwise(node.values):
                    if isinstance(before, ast.Constant) and re.search(r"`hpo [a-z]+ $", str(before.value)):
                        assert "argument(" in ast.unparse(part), f"{path}:{node.lineno} repeats {ast.unparse(part)}"
