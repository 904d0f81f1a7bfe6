"""Opening a database: `open_store`, and where a home folder keeps its own. Connections are made in `connect`."""

from __future__ import annotations

import logging
import shlex
import time
from pathlib import Path

from sqlalchemy import URL

from hpo.errors import AwayError, StorageError, StorageUrlError
from hpo.storage import schema
from hpo.storage.connect import parse_url
from hpo.storage.faults import ELSEWHERE, explained, masked
from hpo.storage.store import Store

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Between two looks for a server that does not answer."""


def sqlite_url(home: Path) -> str:
    """The database of a home folder."""
    return f"sqlite:///{home / 'hpo.db'}"


def given_url(text: str) -> str:
    """A URL that the user gave. Unlike the home folder, the folder of an absolute path is not made: it may be a
    misspelt one, or a disk that is not there."""
    url = parse_url(text)
    path = Path(url.database or "")
    if url.get_backend_name() == "sqlite" and path.is_absolute() and not path.parent.exists():
        raise StorageUrlError(
            f"{masked(url)}: there is no folder {path.parent}. "
            f"Make it with `mkdir -p {shlex.quote(str(path.parent))}`, or {ELSEWHERE}."
        )
    return text


def open_store(url: str, *, readonly: bool = False, patience: float = 0.0) -> Store:
    """Open a database, creating the file, its folder and the tables as needed.

    With `readonly` nothing is created or changed, and a database that is not there is an error. A server that does not
    answer is waited for `patience` seconds. Raises `StorageError` with the place and the way out; no password is ever
    in it.
    """
    began, waiting = time.monotonic(), False
    while True:
        try:
            return _open(url, readonly)
        except AwayError as error:
            if time.monotonic() - began >= patience:
                raise
            if not waiting:
                log.warning("%s Waiting for it.", error.finding)
            waiting = True
            time.sleep(LOOK_SECONDS)


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
    if path.is_dir():
        raise StorageUrlError(f"{path} is a folder, not a database file. Write sqlite:///{path}/hpo.db.")
    if readonly:
        if not path.exists():
            raise StorageError(f"no database at {path}. {schema.BEGIN}")
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or error
        raise StorageError(
            f"cannot create the folder {path.parent} for the database: {reason}. Give access, or {ELSEWHERE}."
        ) from None
