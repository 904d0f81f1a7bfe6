"""The identity of a database, which its copies do not share. Checkpoint files are deleted only by the database that
they belong to."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import text

from hpo.database.faults import masked
from hpo.database.patience import retried
from hpo.errors import StorageError
from hpo.storage.store import Store

SERVER = (
    "SELECT system_identifier::text || '/' || oid::text FROM pg_control_system(), pg_database "
    "WHERE datname = current_database()"
)


def identity(store: Store, root: Path | None) -> str:
    """A text that identifies the database, the same for every process. An SQLite file within `root` is identified by
    its path below `root`, so that both may be moved together; any other file by its whole path. A database on a server
    is identified by the server's and its own number, which a dump does not contain."""
    if store.engine.dialect.name == "sqlite":
        file = Path(store.url.database or "").resolve()
        if root is not None and file.is_relative_to(root.resolve()):
            return f"file {file.relative_to(root.resolve()).as_posix()}"
        return f"file {file.as_posix()}"
    try:
        return f"server {retried(lambda: store.once(text(SERVER)))[0][0]}"
    except StorageError:  # a role without the right to read them
        return f"server {masked(store.url.set(username=None, password=None))}"
