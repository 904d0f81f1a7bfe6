"""Keeping the database's password out of the process list and out of logs."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

OPTION, VARIABLE = "--storage", "HPO_STORAGE"


def without_password(arguments: Sequence[str]) -> tuple[list[str], str] | None:
    """The arguments without a `--storage URL` that holds a password, and that URL; None if there is none."""
    rest: list[str] = []
    found = None
    waiting = list(arguments)
    while waiting:
        argument = waiting.pop(0)
        if argument == OPTION and waiting:
            url = waiting.pop(0)
            written = [argument, url]
        elif argument.startswith(f"{OPTION}="):
            url = argument.partition("=")[2]
            written = [argument]
        else:
            rest.append(argument)
            continue
        if _has_password(url):
            found = url
        else:
            rest += written
    return None if found is None else (rest, found)


def hide_password() -> None:
    """Start this process anew if its command line, which everybody on the machine can read, holds a password: the
    URL goes into the environment, which only its user can read."""
    hidden = without_password(sys.orig_argv[1:])
    if hidden is not None:
        arguments, url = hidden
        os.execve(sys.executable, [sys.orig_argv[0], *arguments], {**os.environ, VARIABLE: url})


def _has_password(url: str) -> bool:
    # Not by SQLAlchemy, which takes time to import: whatever stands between "user:" and "@".
    return ":" in url.partition("://")[2].rpartition("@")[0]


class Scrubbed(logging.Formatter):
    """Log lines without the password of a URL, should one ever get into them."""

    def __init__(self, url: str) -> None:
        super().__init__("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
        self.url = url

    def format(self, record: logging.LogRecord) -> str:
        from hpo.storage.connect import parse_url
        from hpo.storage.faults import scrubbed

        return scrubbed(super().format(record), parse_url(self.url))
