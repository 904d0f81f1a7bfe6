"""Names of environment variables, and which of them child processes must not inherit."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STORAGE = "HPO_STORAGE"
HOME = "HPO_HOME"
CHECKPOINTS = "HPO_CHECKPOINTS"

SECRETS = (STORAGE, "PGPASSWORD")
"""Variables that may contain the database's password. Processes that only train do not get them."""


def keep_compiled(home: Path) -> None:
    """Has this process, and processes that it starts, keep compiled steps in the home folder, unless the variable
    TORCHINDUCTOR_CACHE_DIR is set."""
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str((home / "cache" / "compiled").resolve()))


def without_secrets() -> dict[str, str]:
    """This process's environment without the variables that may contain passwords."""
    return {name: value for name, value in os.environ.items() if name not in SECRETS}


@contextmanager
def secrets_withheld() -> Iterator[None]:
    """Within the block, processes that are started inherit no password, however they are started."""
    withheld = {name: os.environ.pop(name) for name in SECRETS if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(withheld)
