"""Connecting to a database: URLs, drivers, and the settings of every new connection. No tables are created here."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
import weakref
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from hpo.database.faults import masked, masked_text
from hpo.errors import StorageUrlError

log = logging.getLogger(__name__)
logging.getLogger("psycopg").setLevel(logging.ERROR)  # it warns of lost connections, which are also raised as errors

BUSY_SECONDS = 30
"""How long a statement waits for another program to release an SQLite database."""
CONNECT_SECONDS = 10
"""How long a server may take to answer a new connection."""
RETURN_SECONDS = 120
"""How long to wait for a server that has answered before and does not answer now, e.g. because it restarts."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.1, 5.0
"""The pauses between two tries double from the first to the longest."""
IDLE_SECONDS = 120
"""How long a transaction may be idle before PostgreSQL rolls it back. Until then, a process that was suspended while it
created trials keeps all others from creating any."""


def parse_url(text: str) -> URL:
    """The URL, with the driver's name in it; `StorageUrlError` where it is none of SQLite or PostgreSQL."""
    _refuse_misread(text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise StorageUrlError(
            f"{masked_text(text)!r} is no database URL. "
            "Write sqlite:///FOLDER/hpo.db or postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        return url.set(drivername="postgresql+psycopg")
    backend = url.get_backend_name()
    if backend not in ("sqlite", "postgresql"):
        raise StorageUrlError(
            f"studies are kept in SQLite or PostgreSQL, but {masked(url)} asks for {backend!r}. "
            "Write sqlite:///FOLDER/hpo.db or postgresql://USER:PASSWORD@HOST/DATABASE."
        )
    path = url.database or ""
    if backend == "sqlite" and (path in ("", ":memory:") or path.startswith("file:")):
        raise StorageUrlError(f"{masked(url)} names no file. Write sqlite:///FOLDER/hpo.db.")
    return url


def _refuse_misread(text: str) -> None:
    """Refuse a URL whose password contains an `@`: it would end the password, and the rest would be shown as the
    host."""
    scheme, _, rest = text.partition("://")
    user = re.match(r"[^:/]*(:[^@]*)?@", rest)  # as `make_url` finds it
    before, after = (user[0], rest[user.end() :]) if user else ("", rest)
    if not scheme.startswith("sqlite") and ("@" in after or "password=" in before):
        raise StorageUrlError(
            "the database URL has an @ too many, so that user, password and host cannot be told apart. Within each of "
            "them, write %40 for @, %3A for :, %2F for /, %3F for ? and %25 for %."
        )


def connect(url: URL, readonly: bool) -> Engine:
    """The engine of a database. It opens connections when they are first used."""
    options: dict[str, Any]
    if url.get_backend_name() == "sqlite":
        options = {"connect_args": {"timeout": BUSY_SECONDS}}
        if readonly:
            url = _readonly_file(url)
    else:
        options = {"pool_pre_ping": True}
        if "connect_timeout" not in url.query:
            options["connect_args"] = {"connect_timeout": CONNECT_SECONDS}
    try:
        engine = create_engine(url, **options)
    except NoSuchModuleError:
        raise StorageUrlError(
            f"the driver of {masked(url)} is unknown. Write postgresql://USER:PASSWORD@HOST/DATABASE."
        ) from None
    except ImportError as error:
        raise StorageUrlError(
            f"the driver of {masked(url)} is not installed ({error.name}). "
            "Install it with `pip install 'hpo[postgres]'`."
        ) from None
    _engines.add(engine)
    if engine.dialect.name == "postgresql":
        event.listen(engine, "do_connect", _PatientConnect())
        event.listen(engine, "connect", _limit_idleness)
        if readonly:
            event.listen(engine, "connect", _refuse_writing)
    else:
        event.listen(engine, "connect", _set_up_readonly if readonly else _set_up)
        event.listen(engine, "begin", _begin)
    return engine


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[Any] = []


def _drop_inherited_connections() -> None:
    """In a forked process: drop the parent's connections without closing them, as closing them would disturb the
    parent."""
    for engine in list(_engines):
        _inherited.append(engine.pool)
        engine.dispose(close=False)


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_drop_inherited_connections)


class _PatientConnect:
    """Connects to a server, and waits for one that has answered before. A wrong address is an error at once."""

    def __init__(self) -> None:
        self.seen = False

    def __call__(self, dialect: Any, record: Any, arguments: Any, options: Any) -> Any:
        deadline = time.monotonic() + (RETURN_SECONDS if self.seen else 0.0)
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                made = dialect.connect(*arguments, **options)
            except dialect.loaded_dbapi.OperationalError as error:
                if time.monotonic() + pause > deadline:
                    raise
                if pause == FIRST_PAUSE_SECONDS:
                    log.warning("the database server does not answer (%s); waiting for it", type(error).__name__)
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                self.seen = True
                return made


def _readonly_file(url: URL) -> URL:
    """The URL that opens the file so that SQLite cannot write it.

    SQLite reads a write-ahead log by means of a further file beside the database. Where it cannot create that file, as
    the folder is not writable, and there is no log to read, the URL has to say that the file does not change.
    """
    path = Path(url.database or "").absolute()
    log = path.with_name(path.name + "-wal")
    query = {"uri": "true", "mode": "ro"}
    writable = os.access(path.parent, os.W_OK, effective_ids=os.access in os.supports_effective_ids)
    if not writable and not os.path.exists(log):
        query["immutable"] = "1"
    return url.set(database=f"file:{quote(os.fsencode(path))}", query=query)


def _set_up(connection: Any, _: Any) -> None:
    """Prepare a new SQLite connection. `connection` is the driver's."""
    connection.isolation_level = None  # the driver must not begin transactions: _begin does
    cursor = connection.cursor()
    if cursor.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.close()


def _set_up_readonly(connection: Any, _: Any) -> None:
    connection.isolation_level = None


def _limit_idleness(connection: Any, _: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
    connection.commit()


def _refuse_writing(connection: Any, _: Any) -> None:
    connection.read_only = True


def _switch_to_wal(cursor: Any) -> None:
    """Switch to write-ahead logging. SQLite does not wait for other processes when it does so, so this function
    does."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _begin(connection: Connection) -> None:
    """Begin a transaction; one that will write takes the write lock at once, as taking it later can fail without
    waiting."""
    writing = connection.get_execution_options().get("hpo_write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
