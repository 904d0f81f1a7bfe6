"""Names of environment variables, and which of them child processes must not inherit."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STORAGE = "HPO_STORAGE"
HOME = "HPO_HOME"
CHECKPOINTS = "HPO_CHECKPOINTS"
CACHE = "HPO_CACHE"

SECRETS = (STORAGE, "PGPASSWORD")
"""Variables that may contain the database's password. Processes that only train do not get them."""


def cache_folder() -> Path:
    """This user's folder for what can be fetched again: `HPO_CACHE`, else `hpo` in `XDG_CACHE_HOME`, on Windows
    `LOCALAPPDATA`, else in `~/.cache`."""
    given = os.environ.get(CACHE)
    if given:
        return Path(given).expanduser().absolute()
    above = os.environ.get("LOCALAPPDATA" if sys.platform == "win32" else "XDG_CACHE_HOME")
    return (Path(above) if above and os.path.isabs(above) else Path.home() / ".cache") / "hpo"


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
