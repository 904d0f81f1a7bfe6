"""Which database this is, told from its copies: who deletes files by what a database says must know that it is the one
that they belong to."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from hpo.database.faults import masked
from hpo.errors import StorageError
from hpo.storage.store import Store

SERVER = (
    "SELECT system_identifier::text || '/' || oid::text FROM pg_control_system(), pg_database "
    "WHERE datname = current_database()"
)


def identity(store: Store, root: Path | None) -> str:
    """The same text for the same database, whoever asks. An SQLite file within `root` is known by its place there, so
    that both may be moved together; any other by its path. A database on a server is known by its numbers there, which
    a dump does not hold."""
    if store.engine.dialect.name == "sqlite":
        file = Path(store.url.database or "").resolve()
        if root is not None and file.is_relative_to(root.resolve()):
            return f"file {file.relative_to(root.resolve()).as_posix()}"
        return f"file {file.as_posix()}"
    try:
        return f"server {store.once(text(SERVER))[0][0]}"
    except StorageError:  # a role that may not ask
        return f"server {masked(store.url.set(username=None, password=None))}"
