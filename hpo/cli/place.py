"""Where a study lives: the options `--storage` and `--home` that every command has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(kw_only=True, slots=True)
class Place:
    """The folder for everything a run writes, and the database."""

    home: Path = Path("runs")
    storage: str | None = None

    @property
    def storage_url(self) -> str:
        """The database asked for, or SQLite in the home folder."""
        from hpo.storage.engine import sqlite_url

        return self.storage or sqlite_url(self.home)

    @property
    def options(self) -> str:
        """The options to repeat in a command that continues; a URL is not repeated, it may hold a password."""
        home = "" if self.home == Path("runs") else f" --home {self.home}"
        return home + (" --storage ..." if self.storage else "")


def place_options(command: F) -> F:
    """Adds `--storage` and `--home`; the command reads them from `ctx.obj`, a `Place`."""
    storage = click.option(
        "--storage",
        envvar="HPO_STORAGE",
        metavar="URL",
        expose_value=False,
        callback=_remember,
        help="Database, e.g. postgresql://user@host/db.  [default: SQLite in the home folder; env: HPO_STORAGE]",
    )
    home = click.option(
        "--home",
        envvar="HPO_HOME",
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        expose_value=False,
        callback=_remember,
        help="Folder for the database, checkpoints and reports.  [default: runs; env: HPO_HOME]",
    )
    return storage(home(command))


def _remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    place = ctx.ensure_object(Place)
    if value is not None:
        setattr(place, option.name or "", value)
