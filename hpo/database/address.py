"""Database files as URLs, and URLs as people read them. What a URL means is `parse_url`'s in `connect`.

In a URL, a `?` ends the path and `%41` is an A. So a path becomes one with these two signs spelt as `%3F` and `%25`,
and all others as they are: it stays readable, and any program that reads URLs finds the same file.
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
    """A URL as text that is read as the same URL. A password in it is hidden."""
    if url.get_backend_name() != "sqlite" or not url.database or url.host or url.username:
        return url.render_as_string(hide_password=True)
    query = f"?{urlencode(url.normalized_query, doseq=True)}" if url.query else ""
    return f"{url.drivername}{file_url(url.database).removeprefix('sqlite')}{query}"
