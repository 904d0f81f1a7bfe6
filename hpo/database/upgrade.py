"""Bringing a database that an earlier Optuna or hpo made to the schema of the installed ones. `schema` only checks.

Nothing else does this: a program that migrated whatever it opens would pull the tables from under the workers of the
version before.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from optuna.storages import RDBStorage
from sqlalchemy import URL

from hpo import disk
from hpo.database import schema
from hpo.database.connect import connect, parse_url
from hpo.database.faults import explained, masked
from hpo.database.schema import Versions
from hpo.errors import StorageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Upgrade:
    """What has been done."""

    before: Versions
    after: Versions
    copy: Path | None
    """The SQLite file as it was; None where nothing was to be done, and on a server, which has backups of its own."""


def upgrade(url: str, *, create: bool = False) -> Upgrade:
    """Migrate Optuna's tables, then ours. Raises `StorageError` where there is something newer, or nothing: an empty
    database on a server gets its tables with `create`."""
    address = parse_url(url)
    path = Path(address.database or "")
    if address.get_backend_name() == "sqlite" and not os.path.isfile(path):
        raise StorageError(f"no database at {path}. {schema.BEGIN}")
    engine = connect(address, readonly=False)
    try:
        with explained(address):
            with engine.connect() as connection:
                before = schema.versions(connection)
            if before.optuna is None and not create:
                raise StorageError(
                    f"the database {masked(address)} is empty. Make its tables with `hpo db upgrade --create`."
                )
            schema.refuse_newer(before, address)
            if schema.is_current(before):
                return Upgrade(before=before, after=before, copy=None)
            copy = _copied(path, before) if address.get_backend_name() == "sqlite" else None
            if before.optuna is not None and not schema.is_optuna_current(before):
                _upgrade_optuna(address)
            schema.migrate(engine.execution_options(hpo_write=True), address)
            with engine.connect() as connection:
                return Upgrade(before=before, after=schema.versions(connection), copy=copy)
    finally:
        engine.dispose()


def _upgrade_optuna(url: URL) -> None:
    """Optuna's own migrations, as `optuna storage upgrade` runs them."""
    storage = RDBStorage(url.render_as_string(hide_password=False), skip_compatibility_check=True)
    try:
        storage.upgrade()
    finally:
        storage.engine.dispose()


def _copied(path: Path, versions: Versions) -> Path:
    """A copy of the file beside it, complete also where another program has it open. One that is there already was
    made before an upgrade that did not get to its end: it is the untouched one, and stays."""
    copy = path.with_name(f"{path.name}.{versions.own or versions.optuna}")
    if copy.exists():
        return copy
    with (
        disk.replacing(copy) as file,
        closing(sqlite3.connect(path)) as source,
        closing(sqlite3.connect(file.name)) as target,
    ):
        source.backup(target)
    return copy
