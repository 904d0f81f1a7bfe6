"""Writing database files as URLs, and URLs for people. URLs are parsed by `connect.parse_url`.

In a URL, `?` ends the path and `%41` means A. So a path is written with `%3F` for `?` and `%25` for `%`, and all other
characters as they are: it stays readable, and any program that reads URLs finds the same file.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

from sqlalchemy import URL


def file_url(path: Path | str) -> str:
    """The URL of an SQLite file."""
    text = str(path)
    if text.startswith("file:"):  # SQLite would take it for a URL of its own
        text = f"./{text}"
    return f"sqlite:///{text.replace('%', '%25').replace('?', '%3F')}"


def shown(url: URL) -> str:
    """A URL as text that can be parsed again, except that a password is hidden."""
    if url.get_backend_name() != "sqlite" or not url.database or url.host or url.username:
        return url.render_as_string(hide_password=True)
    query = f"?{urlencode(url.normalized_query, doseq=True)}" if url.query else ""
    return f"{url.drivername}{file_url(url.database).removeprefix('sqlite')}{query}"
