"""How the files of an export are written: all or none of them."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hpo import disk
from hpo.errors import InputError, MachineError


def json_bytes(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def check_free(folder: Path, *, force: bool) -> None:
    """Raises `InputError` if the folder is not empty, unless `force` is set."""
    if os.path.exists(folder) and not os.path.isdir(folder):
        raise InputError(f"{folder} is a file. Give the folder for the export another name.")
    try:
        taken = not force and os.path.isdir(folder) and bool(os.listdir(folder))
    except OSError as error:
        raise MachineError(f"cannot look into {folder}: {error.strerror}. Give another folder with -o.") from None
    if taken:
        raise InputError(
            f"{folder} is not empty. Give another folder, or replace the export in it with --force "
            "(files of other names stay)."
        )


def write_export(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files or none, and delete the weights and states of an earlier export. Raises MachineError if that is
    impossible."""
    created = not os.path.exists(folder)
    try:
        names = ("weights.safetensors", "weights-*.safetensors", "state.pt", "state.pickle")
        old = [path for name in names for path in folder.glob(name) if path.name not in files]
        disk.write_all(folder, files, gone=old)
    except OSError as error:
        if created:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise MachineError(
            f"cannot write {folder}: {error.strerror or error}. "
            "An export needs a folder that can be written and has room; give another one with -o."
        ) from error
