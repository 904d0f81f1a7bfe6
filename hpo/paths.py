"""Names and paths as text: how a study's name becomes a folder's, and how a command repeats an argument or a study."""

from __future__ import annotations

import hashlib
import shlex
from pathlib import Path

RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789")}
"""Names that Windows gives to devices, whatever follows a dot."""
DICT = "<dict>"
"""Stands in place of a file's name for a study that Python code gave as a dict. Its folder is the working directory of
then, from which relative paths count."""
LONGEST = 200
"""Characters of a folder's name; file systems take 255 bytes, and temporary names are longer."""


def file_name(name: str) -> str:
    """A study's name as a folder's on every file system: the name itself where all take it as it is. Any other stands
    between underscores, with which no study's name begins, so that two studies never share a folder."""
    spelt = "".join(letter if _plain(letter) else _spelt(letter) for letter in name)
    if len(spelt) > LONGEST:
        spelt = f"{spelt[: LONGEST // 2]}-{digest(name)}"
    taken = spelt == name and name[:1].isalnum() and not name.endswith(".")
    return name if taken and name.partition(".")[0].lower() not in RESERVED else f"_{spelt}_"


def digest(text: str) -> str:
    """12 characters that tell this text from others."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def argument(text: str | Path) -> str:
    """A path or a name as an argument of a command that a person copies into a shell. One that begins with a dash would
    be read as an option."""
    text = str(text)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def running(source: str, trials: bool = False) -> str:
    """How the study is run again, with another number of `trials`: a command, or the call of the code that gave it."""
    if Path(source).name == DICT:
        return "hpo.run(STUDY, trials=N)" if trials else "hpo.run(STUDY)"
    return f"hpo run {argument(source)}{' --trials N' if trials else ''}"


def submitting(source: str) -> str:
    """The command that gives the study to workers; one that was given as a dict has to be written to a file first."""
    return f"hpo submit {'FILE' if Path(source).name == DICT else argument(source)}"


def _plain(letter: str) -> bool:
    return letter.isascii() and (letter.isalnum() or letter in "._-")


def _spelt(letter: str) -> str:
    return "".join(f"%{byte:02x}" for byte in letter.encode("utf-8", "surrogatepass"))
