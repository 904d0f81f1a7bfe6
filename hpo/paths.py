"""Names of folders for studies, and commands and arguments as they are printed for users."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789")}
"""Names of devices on Windows, with any extension."""
DICT = "<dict>"
"""File name that stands for a study given as a dict. The folder before it is the working directory at that time, in
which relative paths start."""
OBJECT = "<object>"
"""Stands in a study given as a dict for data given as an object of Python, which is not stored."""
LONGEST = 200
"""Longest name of a folder, in characters; file systems take 255 bytes, and temporary names are longer."""


def file_name(name: str) -> str:
    """A folder's name for a study that is valid on every file system: the study's name itself if possible. Otherwise it
    is spelt out between underscores; no study's name begins with one, so two studies never share a folder."""
    spelt = "".join(letter if _plain(letter) else _spelt(letter) for letter in name)
    if len(spelt) > LONGEST:
        spelt = f"{spelt[: LONGEST // 2]}-{digest(name)}"
    taken = spelt == name and name[:1].isalnum() and not name.endswith(".")
    return name if taken and name.partition(".")[0].lower() not in RESERVED else f"_{spelt}_"


def digest(text: str) -> str:
    """12 hexadecimal characters of the text's SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def argument(text: str | Path) -> str:
    """A path or a name, quoted as an argument of a shell command. One that begins with a dash gets `./` in front,
    because it would be read as an option."""
    text = str(text)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def run_command(source: str, trials: bool = False) -> str:
    """The command that runs the study again, or the Python call for a study given as a dict. `trials`: with a
    placeholder for another budget of trials."""
    if Path(source).name == DICT:
        return "hpo.run(STUDY, trials=N)" if trials else "hpo.run(STUDY)"
    return f"hpo run {argument(source)}{' --trials N' if trials else ''}"


def submit_command(source: str) -> str:
    """The command that submits the study to workers; a study given as a dict must be written to a file first."""
    return f"hpo submit {'FILE' if Path(source).name == DICT else argument(source)}"


def _plain(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter in "._-")


def _spelt(letter: str) -> str:
    return "".join(f"%{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))
