"""Creating and checking the tables of a database. `upgrade` migrates those of an earlier version.

Tables are created in one transaction under one lock, so that any number of processes may open a new database at the
same time, and a killed one leaves no part of the tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import optuna
from optuna.storages._rdb import models
from sqlalchemy import URL, Column, Connection, Engine, MetaData, String, Table, insert, inspect, select, text

from hpo.database.faults import masked
from hpo.database.tables import HEAD, OPTUNA, VERSION_TABLE, version_info
from hpo.errors import StorageError

if TYPE_CHECKING:  # alembic takes 0.2 s to import and an up-to-date database needs none of it
    from alembic.config import Config
    from alembic.script import ScriptDirectory

MIGRATIONS = Path(__file__).parent / "migrations"
OPTUNA_MIGRATIONS = Path(models.__file__).parent / "alembic"

BEGIN = (
    "Name the place of your studies with --home DIR or --storage URL, or begin one with `hpo run STUDY` or "
    "`hpo submit STUDY`."
)
"""The advice where a database has nothing to read."""

_revisions = MetaData()
_optuna_revision = Table("alembic_version", _revisions, Column("version_num", String(32)))
_own_revision = Table(VERSION_TABLE, _revisions, Column("version_num", String(32)))

_LOCK = 0x68706F  # an arbitrary number that every hpo process uses for PostgreSQL's advisory lock


@dataclass(frozen=True, kw_only=True, slots=True)
class Versions:
    """Versions of the tables in a database; None where they are not there."""

    library: str | None
    """The Optuna version that created or upgraded Optuna's tables."""
    optuna: str | None
    """The revision of Optuna's tables."""
    own: str | None
    """The revision of our tables."""


def versions(connection: Connection) -> Versions:
    """Read the versions; a new database has none."""
    names = set(inspect(connection).get_table_names())

    def only(table: Table, column: str) -> str | None:
        return connection.execute(select(table.c[column])).scalar() if table.name in names else None

    return Versions(
        library=only(version_info, "library_version"),
        optuna=only(_optuna_revision, "version_num"),
        own=only(_own_revision, "version_num"),
    )


def check(connection: Connection, url: URL) -> None:
    """Raise `StorageError` for a database that cannot be read: empty, or of another version."""
    found = versions(connection)
    if found.optuna is None or found.own is None:
        what = "the database is empty" if found.optuna is None else "the database has none of this program's tables"
        raise StorageError(f"no study at {masked(url)}: {what}. {BEGIN}")
    _refuse_others(found, url)


def prepare(writer: Engine, url: URL) -> None:
    """Create the tables in a database that has none; `StorageError` where it has those of another version.

    `writer`: an engine whose transactions take the write lock when they begin.
    """
    with writer.execution_options(hpo_write=False).connect() as connection:
        found = versions(connection)
    _refuse_others(found, url)
    if found.own is None:
        migrate(writer, url)


def migrate(writer: Engine, url: URL) -> None:
    """Create Optuna's tables if there are none, and migrate ours to the newest revision."""
    with writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        found = versions(connection)  # read after the lock, as another process may have migrated meanwhile
        if found.optuna is None:
            _create_optuna(connection)
        refuse_newer(found, url)
        if found.own != HEAD:
            _migrate(connection)


def is_current(found: Versions) -> bool:
    """Whether Optuna's tables and ours have the versions that this program works with."""
    return found.own == HEAD and is_optuna_current(found)


def is_optuna_current(found: Versions) -> bool:
    """Whether Optuna's tables are those of the installed Optuna."""
    # The same version of the library created them, so the schema is the same, and alembic need not be imported.
    return found.library == optuna.__version__ or found.optuna == _script(OPTUNA_MIGRATIONS).get_current_head()


def refuse_newer(found: Versions, url: URL) -> None:
    """Raise `StorageError` for tables that a later Optuna or hpo created."""
    if found.optuna is not None and not is_optuna_current(found) and found.optuna not in _known(OPTUNA_MIGRATIONS):
        raise StorageError(
            f"the database {masked(url)} was made by Optuna {found.library}, newer than the installed "
            f"{optuna.__version__}. Upgrade with `pip install -U optuna`."
        )
    if found.own not in (None, HEAD) and found.own not in _known(MIGRATIONS):
        raise StorageError(
            f"the database {masked(url)} was made by a newer hpo (schema {found.own}; this program knows up to "
            f"{HEAD}). Upgrade with `pip install -U hpo`."
        )


def _refuse_others(found: Versions, url: URL) -> None:
    """Raise `StorageError` for tables of any other version; missing ones are allowed."""
    refuse_newer(found, url)
    if found.optuna is not None and not is_optuna_current(found):
        made = f"Optuna {found.library}, whose tables Optuna {optuna.__version__} no longer reads"
    elif found.own not in (None, HEAD):
        made = f"an earlier hpo (schema {found.own}; this program works with {HEAD})"
    else:
        return
    raise StorageError(
        f"the database {masked(url)} was made by {made}. End the programs that use it, then run `hpo db upgrade` with "
        "the same --home and --storage."
    )


def _create_optuna(connection: Connection) -> None:
    """Create what `RDBStorage` creates in an empty database: tables, version row, alembic stamp."""
    from alembic.migration import MigrationContext

    OPTUNA.create_all(connection)
    if connection.execute(select(version_info)).first() is None:
        connection.execute(
            insert(version_info),
            {"version_info_id": 1, "schema_version": models.SCHEMA_VERSION, "library_version": optuna.__version__},
        )
    script = _script(OPTUNA_MIGRATIONS)
    head = script.get_current_head()
    assert head is not None
    MigrationContext.configure(connection).stamp(script, head)


def _migrate(connection: Connection) -> None:
    from alembic import command

    config = alembic_config(MIGRATIONS)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _known(folder: Path) -> set[str]:
    return {revision.revision for revision in _script(folder).walk_revisions()}


def alembic_config(folder: Path) -> Config:
    """Alembic's configuration for a folder of migrations."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _script(folder: Path) -> ScriptDirectory:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(alembic_config(folder))
