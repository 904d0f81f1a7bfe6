"""`hpo data`: the data sets of the catalogue, their licences and their files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hpo.cli.terminal.output import console, json_text, say, write_data, write_path

if TYPE_CHECKING:
    from hpo.data.catalogue.entry import CatalogueEntry


@click.group()
def data() -> None:
    """List the data sets that a study can use by name, and get their files.

    A study that names one gets it by itself on first use; `hpo data get` does so before, e.g. for a machine that will
    be offline. Files are kept in the folder HPO_CACHE, else in the user's folder for caches.

    \b
    Examples:
      hpo data list
      hpo data show adult
      hpo data get adult
    """


@data.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(as_json: bool) -> None:
    """List the data sets.

    With --json a list of objects with name, kind, task, examples, shape (of one, e.g. [channels, height, width]),
    classes (0 for regression), summary, licence, source, download (bytes to fetch, or null), files (each with path,
    size, sha256), settings (of [data], with which they are read) and folder (where its files are, or null).

    \b
    Examples:
      hpo data list
      hpo data list --json
    """
    from hpo.data.catalogue.entries import CATALOGUE

    if as_json:
        write_data(json_text([_facts(name, entry) for name, entry in CATALOGUE.items()]))
        return
    from hpo.cli.terminal.console import plain_table

    out = console()
    table = plain_table()
    for heading in ("name", "kind", "predicts", "examples", "shape", "size", "at hand", "licence of the data"):
        table.add_column(heading, justify="right" if heading in ("examples", "shape", "size") else "left", no_wrap=True)
    for name, entry in CATALOGUE.items():
        table.add_row(
            name,
            entry.kind,
            _goal(entry),
            f"{entry.examples:,}",
            _shape(entry),
            _size(entry),
            "yes" if not entry.source.files or _folder(name, entry) else "no",
            entry.licence,
        )
    if out.fits(table):
        out.print(table)
    else:
        for name, entry in CATALOGUE.items():
            out.say(f"{name}: {entry.kind}, {entry.examples:,} examples; {entry.summary}")


@data.command()
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, as_json: bool) -> None:
    """Show what data set NAME is, where it comes from and how its files are read.

    With --json an object, as in the list of `hpo data list --json`.

    \b
    Examples:
      hpo data show adult
      hpo data show adult --json
    """
    from hpo.data.catalogue import entry_of
    from hpo.data.catalogue.files import kept_in
    from hpo.studyfile.tree import toml

    entry = entry_of(name)
    facts = _facts(name, entry)
    if as_json:
        write_data(json_text(facts))
        return
    rows = {
        "data set": f"{name}: {entry.summary}",
        "examples": f"{entry.examples:,}, {entry.kind}{f', {_shape(entry)} each' if entry.shape else ''}",
        "predicts": _goal(entry),
        "licence": f"{entry.licence} (of the data)",
        "source": entry.source.origin,
    }
    if entry.source.files:
        files = [f"{file.path}, {file.size:,} bytes, sha256 {file.sha256}" for file in entry.source.files]
        rows["file" if len(files) == 1 else "files"] = "\n".join(files)
        rows["at hand"] = facts["folder"] or f"no; to be kept in {kept_in(name)}"
    if entry.settings:
        rows["read with"] = "\n".join(f"{key} = {toml(value)}" for key, value in entry.settings.items())
    if entry.distinct:
        rows["left out"] = f'rows where "{entry.distinct}" is empty or as in an earlier row'
    for heading, text in rows.items():
        for number, line in enumerate(text.split("\n")):
            say(f"{'' if number else heading:<10}{line}")


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def get(names: tuple[str, ...]) -> None:
    """Get the files of data sets, and print the folder of each.

    They are downloaded by pip as it is configured, as a wheel without its dependencies, of which only the files of the
    data set are kept. Each is checked against its sha256. What is here already is not fetched again.

    \b
    Examples:
      hpo data get adult
      hpo data get mnist5k spoken_digits
    """
    from hpo.data.catalogue import entry_of
    from hpo.data.catalogue.entry import Bundled
    from hpo.data.catalogue.files import folder_of

    entries = {name: entry_of(name) for name in names}
    for name, entry in entries.items():
        if isinstance(entry.source, Bundled):
            say(f"{name} is part of {entry.source.origin}; there is nothing to get.", err=True)
        else:
            write_path(folder_of(name, entry.source, entry.licence))


def _facts(name: str, entry: CatalogueEntry) -> dict[str, Any]:
    from hpo.data.catalogue.entry import Wheel

    folder = _folder(name, entry)
    return {
        "name": name,
        "kind": entry.kind,
        "task": entry.task,
        "examples": entry.examples,
        "shape": entry.shape,
        "classes": entry.classes,
        "summary": entry.summary,
        "licence": entry.licence,
        "source": entry.source.origin,
        "download": entry.source.size if isinstance(entry.source, Wheel) else None,
        "files": entry.source.files,
        "settings": entry.settings,
        "folder": None if folder is None else str(folder),
    }


def _folder(name: str, entry: CatalogueEntry) -> Path | None:
    from hpo.data.catalogue.entry import Bundled
    from hpo.data.catalogue.files import at_hand

    return None if isinstance(entry.source, Bundled) else at_hand(name, entry.source)


def _goal(entry: CatalogueEntry) -> str:
    return f"{entry.classes} classes" if entry.classes else "a number"


def _shape(entry: CatalogueEntry) -> str:
    columns = " columns" if len(entry.shape) == 1 else ""
    return "x".join(map(str, entry.shape)) + columns


def _size(entry: CatalogueEntry) -> str:
    from hpo.data.catalogue.files import megabytes

    return megabytes(sum(file.size for file in entry.source.files)) if entry.source.files else ""
