"""The home folder and the database: the options `--storage` and `--home` that almost every command has."""

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
    """The home folder, for everything that a run writes, and the database."""

    home: Path = Path("runs")
    storage: str | None = None
    environment: set[str] = field(default_factory=set)
    """Options that environment variables set, which need not be repeated in advised commands."""

    @property
    def storage_url(self) -> str:
        """URL of the given database, or of SQLite in the home folder. `StorageUrlError` if the URL cannot be used."""
        from hpo.storage.open import url_of

        return url_of(self.storage, self.home)

    @property
    def options(self) -> str:
        """The options to repeat in an advised command; a URL that contains a password is shown as `...`."""
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
    """Adds `--checkpoints`; `default`: the default in words."""
    return click.option(
        "--checkpoints",
        envvar=environment.CHECKPOINTS,
        metavar="PLACE",
        help="Where workers keep checkpoints: a folder or s3://BUCKET/PREFIX that all workers can reach.  "
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
    """Removes a URL from this process's command line, which other users of the machine can see: it may contain a
    password."""
    if any(url in argument for argument in sys.argv):
        import setproctitle

        setproctitle.setproctitle(" ".join(argument.replace(url, "...") for argument in sys.orig_argv))
