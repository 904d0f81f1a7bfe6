"""Log lines in which a database's password never appears."""

from __future__ import annotations

import logging


class Scrubbed(logging.Formatter):
    """Log lines without the password of a URL, should one ever get into them."""

    def __init__(self, url: str) -> None:
        super().__init__("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S")
        self.url = url

    def format(self, record: logging.LogRecord) -> str:
        from hpo.storage.connect import parse_url
        from hpo.storage.faults import scrubbed

        return scrubbed(super().format(record), parse_url(self.url))
