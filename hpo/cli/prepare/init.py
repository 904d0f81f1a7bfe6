"""`hpo init`: looks at data and writes a first study file for it."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from hpo import disk
from hpo.cli.prepare.following import write_following
from hpo.cli.terminal.output import ask, say, write_path
from hpo.cli.terminal.place import Place, place_options
from hpo.errors import DataError, InputError, MachineError
from hpo.paths import argument
from hpo.printable import listed
from hpo.studyfile.file import parse_study
from hpo.studyfile.records import NAME_PATTERN, DataTable

OBVIOUS = ("target", "label", "class", "y")
"""Names of a column that is taken as the target where none is given, in any case of letters."""

SETTABLE = (
    *("task", "columns", "shape", "header", "separator", "quote", "encoding", "decimal", "thousands"),
    *("test", "split", "group", "time"),
)
"""Keys of `[data]` that say what the data are; the others are chosen for them."""


@click.command()
@click.argument("name", required=False)
@click.option("--data", "source", metavar="PATH", help="The data: a file, or a name of the catalogue.")
@click.option("--target", metavar="COLUMN", help="Column to predict.  [default: target, label, class or y]")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A key of [data] that the data need, e.g. encoding=cp1252, header=false or shape=[3,32,32].",
)
@click.option(
    "--from", "study", metavar="STUDY", help="Write the study that comes after this one, by what it found, instead."
)
@click.option("--force", is_flag=True, help="Replace NAME.toml if it exists.")
@place_options
@click.pass_obj
def init(
    place: Place,
    name: str | None,
    source: str | None,
    target: str | None,
    settings: tuple[str, ...],
    study: str | None,
    force: bool,
) -> None:
    """Look at data and write a first study file for it, NAME.toml.

    The file has a model that suits the data and its size, ranges to search, an objective for the balance of the
    classes, and a budget; each setting has a comment. It runs as it is. If no column has an obvious name, --target
    names the one to predict; on a terminal, the last column is asked for.

    With --from, write the study that comes after STUDY, beside its file: ranges moved beyond an edge at which the best
    values lie, parameters without effect fixed, options that lose left out, epochs and trials as its curves ask for.
    Comments say why. Without NAME it is STUDY-2.

    \b
    Examples:
      hpo init flowers --data flowers.csv --target species
      hpo init my-adult --data adult
      hpo init prices --data prices.csv --target price --set encoding=cp1252
      hpo init --from flowers
    """
    if study is not None and (source or target or settings):
        raise click.UsageError("--from takes the data from the study: leave out --data, --target and --set.")
    name = None if name is None else _checked(name)
    if study is not None:
        write_following(place, study, name, force=force)
        return
    if name is None or source is None:
        raise click.UsageError("name the study and its data: hpo init NAME --data PATH; or: hpo init --from STUDY")
    path = Path(f"{name}.toml")
    if os.path.lexists(path) and not force:
        raise InputError(f"{path} exists. Take another name, or --force to replace it.")
    given = _given(settings)
    data = _table(source, target, given)
    if not target:
        data = data.model_copy(update={"target": _target_in(data, path.parent)})
    text = _study_text(name, data, given, path)
    try:
        disk.save(path, text.encode("utf-8"))
    except UnicodeEncodeError:
        raise InputError(f"{source}: a study file cannot contain this path, which is no UTF-8. Rename it.") from None
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror}.") from error
    write_path(path)
    say(f"To see what was found: hpo check {argument(path)}\nTo run it: hpo run {argument(path)}", err=True)


def _checked(name: str) -> str:
    """The name of a study, without the ending of its file."""
    name = name.removesuffix(".toml")
    if not re.fullmatch(NAME_PATTERN, name):
        raise InputError(
            f"{name}: no name for a study. Names have letters, digits, dots, underscores and hyphens, and no folder: "
            "the file is written to the working directory, or beside that of the study that it comes after."
        )
    return name


def _given(settings: Iterable[str]) -> dict[str, Any]:
    """The values of `--set` by key; what is no TOML is a text."""
    given: dict[str, Any] = {}
    for setting in settings:
        key, mark, text = setting.partition("=")
        if not mark or key not in SETTABLE:
            raise InputError(f"--set {setting}: must be KEY=VALUE, with a key of {listed(SETTABLE)}.")
        try:
            given[key] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            given[key] = text
    return given


def _table(source: str, target: str | None, given: dict[str, Any]) -> DataTable:
    try:
        return DataTable.model_validate({"dataset": source, "target": target, **given})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InputError(f"--set {first['loc'][0]}: found {first['input']!r}; {first['msg'].lower()}.") from None


def _target_in(data: DataTable, base: Path) -> str | None:
    """The column to predict: the one with an obvious name. None where the data has a target of its own."""
    from hpo.data.catalogue import load_dataset
    from hpo.data.readers import read_source
    from hpo.data.table import Table
    from hpo.studyfile.custom import is_reference

    source = data.dataset
    try:
        load_dataset(data, base)
    except DataError:
        if not (is_reference(source) or os.path.isfile(base / os.path.expanduser(source))):
            raise
        found = read_source(source, data, base)
        if not isinstance(found, Table):  # arrays have no columns to choose from
            raise
    else:
        return None
    columns = [str(column) for column in found.frame.columns]
    obvious = [column for column in columns if column.lower() in OBVIOUS]
    if len(obvious) == 1:
        return obvious[0]
    if not obvious and sys.stdin.isatty() and ask(f'Is "{columns[-1]}", the last column, to be predicted?'):
        return columns[-1]
    raise InputError(
        f"{source}: which column is to be predicted? Name it with --target. Columns: {listed(obvious or columns)}."
    )


def _study_text(name: str, data: DataTable, given: dict[str, Any], path: Path) -> str:
    """The study file, which has been tried on the data. Raises `DataError` where the data cannot be split."""
    from hpo.data.catalogue import load_dataset
    from hpo.data.dataset import PARTS
    from hpo.data.describe import describe
    from hpo.data.proposal import SMALL, propose
    from hpo.data.study import check_objective, load_data

    dataset = load_dataset(data, path.parent)
    found = describe(dataset)
    test_given = dataset.part_N is not None and bool((dataset.part_N == PARTS.index("test")).any())
    for folds in (5, 3, None) if found.rows < SMALL else (None,):
        text = propose(
            name, found, dataset=data.dataset, target=data.target, folds=folds, test_given=test_given, settings=given
        )
        spec = parse_study(text, str(path))
        try:
            check_objective(spec, load_data(spec))
        except InputError:
            if folds is None:
                raise
        else:
            return text
    raise AssertionError("the last way to validate was tried")
