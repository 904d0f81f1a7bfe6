"""Environment variables by name, and which of them other processes are not to inherit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STORAGE = "HPO_STORAGE"
HOME = "HPO_HOME"
CHECKPOINTS = "HPO_CHECKPOINTS"

SECRETS = (STORAGE, "PGPASSWORD")
"""Those that may hold the database's password. What only trains needs no database."""


def keep_compiled(home: Path) -> None:
    """Has this process, and those begun from now on, keep compiled steps in the home folder, unless told otherwise."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((home / "cache" / "compiled").resolve()))


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
