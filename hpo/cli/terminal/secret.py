"""A log formatter that removes the database's password."""

from __future__ import annotations

import logging

from hpo.cli.terminal.output import Shown
from hpo.database.connect import parse_url
from hpo.database.faults import scrubbed


class Scrubbed(Shown):
    """Formats log messages and removes the password of a URL from them."""

    def __init__(self, url: str) -> None:
        super().__init__("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
        self.url = parse_url(url)

    def format(self, record: logging.LogRecord) -> str:
        return scrubbed(super().format(record), self.url)
