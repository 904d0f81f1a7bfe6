"""Environment variables by name, and which of them other processes are not to inherit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

STORAGE = "HPO_STORAGE"
HOME = "HPO_HOME"
CHECKPOINTS = "HPO_CHECKPOINTS"

SECRETS = (STORAGE, "PGPASSWORD")
"""Those that may hold the database's password. What only trains needs no database."""


def without_secrets() -> dict[str, str]:
    """This process's environment as one that only trains may have it."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


@contextmanager
def secrets_withheld() -> Iterator[None]:
    """What is started meanwhile inherits no secret, however it is started."""
    withheld = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(withheld)
