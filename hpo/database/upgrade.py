"""Upgrading a database of an earlier Optuna or hpo to the schema of the installed versions. `schema` only checks it.

Only `hpo db upgrade` does this. If every program migrated the databases that it opens, workers of the previous version
would fail.
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
    """Result of an upgrade."""

    before: Versions
    after: Versions
    copy: Path | None
    """Copy of the SQLite file from before the upgrade; None where nothing was to be done, and for a server."""


def upgrade(url: str, *, create: bool = False) -> Upgrade:
    """Migrate Optuna's tables, then ours. `create`: create the tables in an empty database on a server. Raises
    `StorageError` where the tables are of a newer version, or there are none."""
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
    """Copy the file beside itself, completely even if another program has it open. An existing copy is kept: it was
    made before an upgrade that was interrupted, so it is the original state."""
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
