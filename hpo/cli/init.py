"""`hpo init`: looks at data and writes a first study file for it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from hpo import disk
from hpo.cli.terminal.output import ask, say, write_path
from hpo.errors import DataError, InputError, MachineError
from hpo.paths import argument
from hpo.printable import listed
from hpo.studyfile.file import parse_study
from hpo.studyfile.records import NAME_PATTERN, DataTable

OBVIOUS = ("target", "label", "class", "y")
"""Names of a column that is taken as the target where none is given, in any case of letters."""


@click.command()
@click.argument("name")
@click.option("--data", "source", required=True, metavar="PATH", help="The data: a file, or a name of the catalogue.")
@click.option("--target", metavar="COLUMN", help="Column to predict.  [default: target, label, class or y]")
@click.option("--force", is_flag=True, help="Replace NAME.toml if it exists.")
def init(name: str, source: str, target: str | None, force: bool) -> None:
    """Look at data and write a first study file for it, NAME.toml.

    The file has a model that suits the data and its size, ranges to search, an objective for the balance of the
    classes, and a budget; each setting has a comment. It runs as it is. If no column has an obvious name, --target
    names the one to predict; on a terminal, the last column is asked for.

    \b
    Examples:
      hpo init flowers --data flowers.csv --target species
      hpo init my-adult --data adult
    """
    name = name.removesuffix(".toml")
    if not re.fullmatch(NAME_PATTERN, name):
        raise InputError(
            f"{name}: no name for a study. Names have letters, digits, dots, underscores and hyphens, and no folder: "
            "the file is written to the working directory."
        )
    path = Path(f"{name}.toml")
    if os.path.lexists(path) and not force:
        raise InputError(f"{path} exists. Take another name, or --force to replace it.")
    text = _study_text(name, source, target or _target_in(source, path.parent), path)
    try:
        disk.save(path, text.encode("utf-8"))
    except UnicodeEncodeError:
        raise InputError(f"{source}: a study file cannot contain this path, which is no UTF-8. Rename it.") from None
    except OSError as error:
        raise MachineError(f"cannot write {path}: {error.strerror}.") from error
    write_path(path)
    say(f"To see what was found: hpo check {argument(path)}\nTo run it: hpo run {argument(path)}", err=True)


def _target_in(source: str, base: Path) -> str | None:
    """The column to predict: the one with an obvious name. None where the data has a target of its own."""
    from hpo.data.catalogue import load_dataset
    from hpo.data.readers import is_function, read_source
    from hpo.data.table import Table

    data = DataTable(dataset=source)
    try:
        load_dataset(data, base)
    except DataError:
        if not (is_function(source) or os.path.isfile(base / os.path.expanduser(source))):
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


def _study_text(name: str, source: str, target: str | None, path: Path) -> str:
    """The study file, which has been tried on the data. Raises `DataError` where the data cannot be split."""
    from hpo.data.catalogue import load_dataset
    from hpo.data.dataset import PARTS
    from hpo.data.describe import describe
    from hpo.data.proposal import SMALL, propose
    from hpo.data.study import check_objective, load_data

    dataset = load_dataset(DataTable(dataset=source, target=target), path.parent)
    found = describe(dataset)
    test_given = dataset.part_N is not None and bool((dataset.part_N == PARTS.index("test")).any())
    for folds in (5, 3, None) if found.rows < SMALL else (None,):
        text = propose(name, found, dataset=source, target=target, folds=folds, test_given=test_given)
        spec = parse_study(text, str(path))
        try:
            check_objective(spec, load_data(spec))
        except InputError:
            if folds is None:
                raise
        else:
            return text
    raise AssertionError("the last way to validate was tried")
