"""Writes a study that is given as a dict as the text of a study file, because studies are stored and compared as
text."""

from __future__ import annotations

import datetime
import numbers
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from hpo.errors import StudyFileError
from hpo.paths import DICT
from hpo.studyfile.tree import join, toml, toml_key


def toml_of(study: Mapping[str, Any]) -> str:
    """TOML with the same tables. Raises `StudyFileError` for a value that TOML cannot express."""
    try:
        document = _plain(study, "")
    except RecursionError:
        raise StudyFileError(f"{DICT}: values are nested too deeply for a study file") from None
    outside = {key: value for key, value in document.items() if not isinstance(value, dict)}
    tables = [_lines(outside)] if outside else []  # a mistake, which the reader of the text will report
    tables += [f"[{toml_key(name)}]\n{_lines(table)}" for name, table in document.items() if name not in outside]
    return "\n".join(tables)


def _lines(table: dict[str, Any]) -> str:
    return "".join(f"{toml_key(key)} = {toml(value)}\n" for key, value in table.items())


def _plain(value: Any, path: str) -> Any:
    """The value in a type that TOML has. NumPy's numbers and paths are converted."""
    match value:
        case bool() | datetime.date() | datetime.time():
            return value
        case str() | PurePath():
            return _text(str(value), path)
        case numbers.Integral():
            return int(value)
        case numbers.Real():
            return float(value)
        case Mapping():
            return {_key(key, path): _plain(item, join(path, str(key))) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{path}#{number}") for number, item in enumerate(value, start=1)]
        case None:
            raise StudyFileError(f"{DICT}: {path}: None is no value of a study file; leave the key out")
    raise StudyFileError(
        f"{DICT}: {path}: found {type(value).__name__}, which is no value of a study file. Allowed: numbers, texts, "
        "true and false, lists, tuples and dicts of these"
    )


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise StudyFileError(f"{DICT}: {path or 'the study'}: the key {key!r} is no text; keys are names")
    return _text(key, path)


def _text(text: str, path: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise StudyFileError(f"{DICT}: {path}: holds half a surrogate pair, which no file can") from None
    return text
