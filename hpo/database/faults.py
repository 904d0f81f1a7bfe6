"""Errors of databases as sentences with the place and the way out, and without passwords. No statements, no retries."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote, quote_plus

from sqlalchemy import URL
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    NotSupportedError,
    PendingRollbackError,
    ProgrammingError,
)

from hpo.database.address import shown
from hpo.errors import AwayError, LostConnectionError, RefusedStatementError, StorageError, StorageUrlError
from hpo.paths import argument

ELSEWHERE = "choose another place with --home DIR or --storage URL"

AWAY = (
    r"connection (to server )?(at .*|on .*)?(failed|timed? ?out)|could not (connect|translate)|connection refused"
    r"|failed to resolve|timeout expired"
)
"""Messages of a driver whose server does not answer."""
LOST = (
    r"closed the connection|terminating connection|connection (is|was|has been) (lost|closed|reset)"
    r"|closed unexpectedly|reset by peer|broken pipe|SSL SYSCALL|EOF detected|no connection to the server"
    r"|lost synchronization|could not (send|receive) data|consuming input failed|server conn crashed"
    r"|is (starting up|shutting down)|in recovery mode"
)
"""Messages of a driver whose connection ended, or whose server restarts and accepts no connections yet."""
LOST_STATES = ("08", "57P01", "57P02", "57P03", "57P05", "25P03")
"""Beginnings of the SQLSTATE of these errors."""
UNUSABLE = r"invalid (connection option|port number|\w+ value)|bad value for"
"""Messages of a driver that cannot use a URL's port or parameters."""

# Matched in this order against the driver's message: SQLite and failed logins give nothing else.
SENTENCES: dict[str, str] = {
    r"unable to open database file": (
        "cannot open the database {place}: its folder is missing or this user may not read or write it. "
        f"Give access, or {ELSEWHERE}"
    ),
    r"readonly database": (
        "the database {place} is read-only: this user may not write the file or its folder. "
        f"Give access, or {ELSEWHERE}"
    ),
    r"file is not a database|file is encrypted": (
        "{place} is not an SQLite database: the file holds something else. Name another file, or " + ELSEWHERE
    ),
    r"malformed": "the database {place} is damaged. Restore a copy of it, or " + ELSEWHERE,
    r"database is locked|database table is locked": (
        "another program kept the database {place} locked. Close it, then run the same command again"
    ),
    r"disk is full": (
        "no space is left for the database {place}. Free some, then run the same command again, or " + ELSEWHERE
    ),
    r"disk I/O error": (
        "the disk refused to read or write the database {place}. Check it and its free space, or " + ELSEWHERE
    ),
    r"password authentication failed|no password supplied": (
        "the server refused user {user!r} or the password, at {place}. Correct HPO_STORAGE or --storage"
    ),
    r'database ".*" does not exist': (
        "the server has no database {database!r}, asked for at {place}. Create it (`createdb {argument}`), "
        "or correct HPO_STORAGE or --storage"
    ),
    r'role ".*" does not exist': ("the server knows no user {user!r}, at {place}. Correct HPO_STORAGE or --storage"),
    r"permission denied|must be owner": (
        "user {user!r} lacks a permission at {place} ({detail}). Ask for it, or use another user"
    ),
    r"read-only transaction": (
        "the database {place} was opened, or is served, for reading only. Use a user that may write"
    ),
    UNUSABLE: "the URL {place} cannot be used ({detail}). Correct HPO_STORAGE or --storage",
    LOST: "the connection to {place} was lost ({detail}). Run the same command again",
    AWAY: ("cannot reach the server at {place} ({detail}). Start it, or correct HPO_STORAGE or --storage"),
}

DISTINCT = 6
"""Length from which a password is replaced within words, too."""


class UndecodableError(ValueError):
    """A cell cannot be decoded. The message names the table, the row and what was found."""


REFUSALS = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Errors of a statement, as opposed to failures of the database, where no entry of `SENTENCES` matches."""


def masked(url: URL) -> str:
    """The URL as messages show it, without passwords."""
    return shown(url.difference_update_query(_secret_keys(url)))


def passwords(url: URL) -> list[str]:
    """The passwords in the URL."""
    given = [url.password, *(value for key in _secret_keys(url) for value in url.normalized_query[key])]
    return [str(password) for password in given if password]


def scrubbed(text: str, url: URL) -> str:
    """The text without the URL's passwords, in any encoding in which a driver may repeat them. A password shorter than
    `DISTINCT` is replaced only as a whole word."""
    spellings: set[str] = set()
    for password in passwords(url):
        spellings |= {password, quote(password), quote(password, safe=""), quote_plus(password)}
    for spelling in sorted(spellings, key=len, reverse=True):
        anywhere = len(spelling) >= DISTINCT
        found = re.escape(spelling) if anywhere else rf"(?<!\w){re.escape(spelling)}(?!\w)"
        text = re.sub(found, "***", text)
    return text


def _secret_keys(url: URL) -> list[str]:
    """Names of the URL's parameters that are passwords, e.g. `password` and `sslpassword`."""
    return [key for key in url.query if "password" in key.lower()]


def masked_text(text: str) -> str:
    """A text that is no valid URL, without what may be a user and a password in it."""
    text = re.sub(r"(?is)password\s*=.*", "***", text)
    before, at, host = text.rpartition("@")
    scheme, colon, _ = before.partition("://")
    return f"{scheme + colon if colon else ''}***@{host}" if at else text


def lost_connection(error: BaseException) -> BaseException | None:
    """The lost connection that caused an error: this error or one of its causes; None if no connection was lost."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, LostConnectionError) or _is_loss(found):
            return found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return None


def _is_loss(error: BaseException) -> bool:
    if isinstance(error, PendingRollbackError):  # raised by a transaction that continued after its connection was lost
        return True
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and _is_loss(error.orig))
    if (type(error).__module__ or "").partition(".")[0] != "psycopg":
        return False
    state = getattr(error, "sqlstate", None)
    return state.startswith(LOST_STATES) if state else re.search(LOST, str(error), re.IGNORECASE) is not None


def explain(error: BaseException, url: URL) -> StorageError:
    """The error as a sentence with the place and the way out."""
    said = str(getattr(error, "orig", None) or error)
    text = " ".join(said.split())
    lines = [line.strip() for line in scrubbed(said, url).splitlines() if line.strip()]
    detail = re.sub(r"^(connection failed: )+", "", lines[0])[:200].rstrip(":,. ") if lines else "no reason given"
    words = {"place": masked(url), "user": url.username, "database": url.database, "detail": detail}
    words["argument"] = argument(url.database or "")
    lost = _is_loss(error)
    for pattern, sentence in SENTENCES.items():
        if re.search(pattern, text, re.IGNORECASE) or (lost and pattern == LOST):
            finding, _, _ = sentence.partition(". ")
            raised = {LOST: LostConnectionError, AWAY: AwayError, UNUSABLE: StorageUrlError}.get(pattern, StorageError)
            return raised(sentence.format(**words) + ".", finding=finding.format(**words) + ".")
    kind = RefusedStatementError if isinstance(error, REFUSALS) else StorageError
    return kind("the database {place} failed: {detail}.".format(**words))


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn what the database raises inside the block into a `StorageError`. An interrupt stays one, also where the
    driver, which was interrupted in the middle of a statement, raised an error of its own after it."""
    before = sys.exc_info()[1]
    try:
        yield
    except StorageError:
        raise
    except UndecodableError as error:
        raise damaged(url, str(error)) from None
    except Exception as error:
        if (interrupt := _interrupt_behind(error, before)) is not None:
            raise interrupt from None
        known = error if isinstance(error, DBAPIError) else lost_connection(error)
        # The driver's own error is left out of the traceback, as it may contain the connection's password.
        if known is not None:
            raise known if isinstance(known, StorageError) else explain(known, url) from None
        if isinstance(error, LookupError | OverflowError | TypeError | ValueError) and _is_from_decoding(error):
            raise damaged(url, f"a cell cannot be read ({error})") from None
        raise


def _interrupt_behind(error: BaseException, before: BaseException | None) -> BaseException | None:
    """The interrupt during which the error was raised; not one that was there before."""
    found: BaseException | None = error
    while found is not None and found is not before:
        if not isinstance(found, Exception):
            return found
        found = found.__cause__ or found.__context__
    return None


def damaged(url: URL, finding: str) -> StorageError:
    """The error of a database with content that this program cannot have written."""
    return StorageError(
        f"the database {masked(url)} is damaged: {finding}. Restore a copy of it, or {ELSEWHERE}.",
        finding=f"the database {masked(url)} is damaged: {finding}.",
    )


def _is_from_decoding(error: Exception) -> bool:
    """Whether SQLAlchemy raised the error, when it converted a cell to its column's type, e.g. a state or a time."""
    innermost = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)][-1]
    return str(innermost).partition(".")[0] == "sqlalchemy"
