"""Where a study lives: the options `--storage` and `--home` that every command has."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from hpo import environment
from hpo.paths import argument

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(kw_only=True, slots=True)
class Place:
    """The folder for everything a run writes, and the database."""

    home: Path = Path("runs")
    storage: str | None = None
    environment: set[str] = field(default_factory=set)
    """Options that came from environment variables, and need not be repeated in a command that continues."""

    @property
    def storage_url(self) -> str:
        """The database asked for, or SQLite in the home folder. `StorageUrlError` where what was asked for is none."""
        from hpo.storage.open import url_of

        return url_of(self.storage, self.home)

    @property
    def options(self) -> str:
        """The options to repeat in a command that continues; a URL with a password in it is not repeated."""
        home = "" if self.home == Path("runs") or "home" in self.environment else f" --home {argument(self.home)}"
        if not self.storage or "storage" in self.environment:
            return home
        from hpo.database.connect import parse_url
        from hpo.database.faults import passwords

        secret = passwords(parse_url(self.storage))
        return f"{home} --storage {'...' if secret else shlex.quote(self.storage)}"


def place_options(command: F) -> F:
    """Adds `--storage` and `--home`; the command reads them from `ctx.obj`, a `Place`."""
    storage = click.option(
        "--storage",
        envvar=environment.STORAGE,
        metavar="URL",
        expose_value=False,
        callback=_remember,
        help="Database, e.g. postgresql://user@host/db.  [default: SQLite in the home folder; "
        f"env: {environment.STORAGE}]",
    )
    home = click.option(
        "--home",
        envvar=environment.HOME,
        metavar="DIR",
        type=click.Path(file_okay=False, path_type=Path),
        expose_value=False,
        callback=_remember,
        help=f"Folder for the database, checkpoints and reports.  [default: runs; env: {environment.HOME}]",
    )
    return storage(home(command))


def checkpoints_option(default: str) -> Callable[[F], F]:
    """Adds `--checkpoints`; `default` tells what holds without it."""
    return click.option(
        "--checkpoints",
        envvar=environment.CHECKPOINTS,
        metavar="PLACE",
        help="Where workers keep checkpoints: a folder or s3://BUCKET/PREFIX that all reach.  "
        f"[default: {default}; env: {environment.CHECKPOINTS}]",
    )


def _remember(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    place = ctx.ensure_object(Place)
    if option.name == "storage" and value is not None:
        _hide(value)
    if value is not None and option.name:
        setattr(place, option.name, value)
        if ctx.get_parameter_source(option.name) == ParameterSource.ENVIRONMENT:
            place.environment.add(option.name)


def _hide(url: str) -> None:
    """Other users of the machine see this process's command line, and a URL may hold a password."""
    if any(url in argument for argument in sys.argv):
        import setproctitle

        setproctitle.setproctitle(" ".join(argument.replace(url, "...") for argument in sys.orig_argv))
