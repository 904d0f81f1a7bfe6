"""What readers of files share: the content of a file, and what is wrong with one."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from hpo.errors import DataError
from hpo.printable import on_one_line

GZIP = b"\x1f\x8b"


def read_bytes(path: Path) -> bytes:
    """The file's content, unpacked where it is packed by gzip. Raises `DataError` where it cannot be read."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise _absent(path) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None
    if not raw.startswith(GZIP):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: it is not a whole gzip file ({error}). Pack it again, or unpack it.") from None


def refuse_absent(path: Path) -> None:
    """Raise `DataError` where there is no such file, or it cannot be opened."""
    try:
        path.open("rb").close()
    except FileNotFoundError:
        raise _absent(path) from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}.") from None


def wanting(path: Path, what: str, package: str, extra: str) -> DataError:
    """The package that reads such a file is not installed."""
    return DataError(f"{path}: reading {what} needs {package}. Install it: pip install 'hpo[{extra}]'")


def damaged(path: Path, form: str, error: Exception) -> DataError:
    """The file is not what its name says."""
    said = on_one_line(str(error).strip().split("\n")[0].rstrip(".")) or type(error).__name__
    return DataError(
        f"{path}: it cannot be read as {form}: {said}. Save it again, or give it the ending of the format that it has."
    )


def _absent(path: Path) -> DataError:
    return DataError(f"{path}: no such file. A relative path in a study file starts at the folder of that file.")
