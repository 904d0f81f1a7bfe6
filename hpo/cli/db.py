"""`hpo db`: maintenance of the database."""

from __future__ import annotations

import click

from hpo.cli.terminal.output import say
from hpo.cli.terminal.place import Place, place_options


@click.group()
def db() -> None:
    """Care of the database.

    \b
    Examples:
      hpo db upgrade
    """


@db.command()
@click.option("--create", is_flag=True, help="Make the tables in a database that is empty, for the start of a service.")
@place_options
@click.pass_obj
def upgrade(place: Place, create: bool) -> None:
    """Bring the database of an earlier hpo or Optuna to this version.

    End the programs that use it first. An SQLite file is copied beside itself before it is changed; make a backup of a
    database on a server yourself.

    \b
    Examples:
      hpo db upgrade
      hpo db upgrade --home old-runs
    """
    from hpo.database.upgrade import upgrade

    done = upgrade(place.storage_url, create=create)
    if done.before == done.after:
        say("The database is of this version already; nothing was changed.")
        return
    say(f"Optuna's tables: {done.before.optuna or 'none'} -> {done.after.optuna}")
    say(f"hpo's tables:    {done.before.own or 'none'} -> {done.after.own}")
    if done.copy is not None:
        say(f"The database as it was: {done.copy}")
