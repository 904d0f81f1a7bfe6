"""`hpo db`: maintenance of the database."""

from __future__ import annotations

import click

from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, place_options


@click.group()
def db() -> None:
    """Maintain the database.

    \b
    Examples:
      hpo db upgrade
    """


@db.command()
@click.option("--create", is_flag=True, help="Create the tables in an empty database, e.g. for a new service.")
@place_options
@click.pass_obj
def upgrade(place: Place, create: bool) -> None:
    """Upgrade the database of an earlier version of hpo or Optuna to this version.

    End the programs that use it first. An SQLite file is copied to its own folder before it is changed; make a backup
    of a database on a server yourself.

    \b
    Examples:
      hpo db upgrade
      hpo db upgrade --home old-runs
    """
    from hpo.database.upgrade import upgrade

    done = upgrade(place.storage_url, create=create)
    if done.before == done.after:
        say("The database has this version already; nothing was changed.")
        return
    say(f"Optuna's tables: {done.before.optuna or 'none'} -> {done.after.optuna}")
    say(f"hpo's tables:    {done.before.own or 'none'} -> {done.after.own}")
    if done.copy is not None:
        say(f"Copy of the database before the upgrade: {done.copy}")
