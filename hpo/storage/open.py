"""Opening a database: `open_store`, and the URL of the database in a home folder. Connections are made in `connect`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import URL

from hpo import disk
from hpo.database import schema
from hpo.database.address import file_url
from hpo.database.connect import parse_url
from hpo.database.faults import ELSEWHERE, explained, masked
from hpo.database.patience import retried
from hpo.errors import AwayError, StorageError, StorageUrlError
from hpo.paths import argument
from hpo.storage.store import Store

log = logging.getLogger(__name__)

AWAY_PAUSE_SECONDS = 1.0
"""Time between two tries to reach a server that does not answer."""
CUT_SECONDS = 30.0
"""How long to try again where a server ends the connection, e.g. because it restarts."""


def sqlite_url(home: Path) -> str:
    """URL of the database in a home folder."""
    return file_url(home / "hpo.db")


def url_of(storage: str | None, home: Path) -> str:
    """The database asked for, or SQLite in the home folder. `StorageUrlError` where what was asked for is none."""
    return given_url(storage) if storage else sqlite_url(home)


def given_url(text: str) -> str:
    """Check a URL that the user gave. The folder of an absolute path must exist and, unlike the home folder, is not
    made: it may be misspelt, or on a disk that is not mounted."""
    url = parse_url(text)
    path = Path(url.database or "")
    if url.get_backend_name() == "sqlite" and path.is_absolute() and not os.path.exists(path.parent):
        raise StorageUrlError(
            f"{masked(url)}: there is no folder {path.parent}. "
            f"Make it with `mkdir -p {argument(path.parent)}`, or {ELSEWHERE}."
        )
    return text


def open_store(url: str, *, readonly: bool = False, patience: float = 0.0) -> Store:
    """Open a database, creating the file, its folder and the tables as needed.

    With `readonly` nothing is created or changed, and a database that does not exist is an error. `patience`: how many
    seconds to wait for a server that does not answer; for one that ends the connection it is `CUT_SECONDS`. Raises
    `StorageError` with the place and the way out, without any password.
    """
    began, waiting = time.monotonic(), False
    while True:
        try:
            return retried(lambda: _open(url, readonly), CUT_SECONDS)
        except AwayError as error:
            if time.monotonic() - began >= patience:
                raise
            if not waiting:
                log.warning("%s Waiting for it.", error.finding)
            waiting = True
            time.sleep(AWAY_PAUSE_SECONDS)


@contextmanager
def reading(url: str) -> Iterator[Store]:
    """The database, opened for reading and closed afterwards."""
    with closing(open_store(url, readonly=True)) as store:
        yield store


def _open(url: str, readonly: bool) -> Store:
    address = parse_url(url)
    if address.get_backend_name() == "sqlite":
        _check_file(address, readonly)
    store = Store(address, readonly=readonly)
    try:
        with explained(address):
            if readonly:
                with store.reading() as connection:
                    schema.check(connection, address)
            else:
                schema.prepare(store.writer, address)
    except BaseException:
        store.close()
        raise
    return store


def _check_file(url: URL, readonly: bool) -> None:
    path = Path(url.database or "")
    if os.path.isdir(path):
        raise StorageUrlError(f"{path} is a folder, not a database file. Write {sqlite_url(path)}.")
    if readonly:
        if not os.path.exists(path):
            raise StorageError(f"no database at {path}. {schema.BEGIN}")
        return
    try:
        disk.make_home(path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"cannot create the folder {path.parent} for the database: {reason}. Give access, or {ELSEWHERE}."
        ) from None
    with suppress(OSError):  # SQLite's own error is raised when the file is opened
        disk.create_empty(path)
