"""Study files: finds a file, reads its TOML and reports every mistake."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any

from hpo.errors import StudyFileError
from hpo.paths import DICT, OBJECT
from hpo.printable import listed, on_one_line, printable
from hpo.studyfile.fields import FIXED_TABLES, OF_MODELS, SHORTHANDS, homes_of, searched_tables, shape_of
from hpo.studyfile.problems import Problem, hint, quote, refuse
from hpo.studyfile.records import Median
from hpo.studyfile.rules.between_settings import broken_rules
from hpo.studyfile.settings import changes, fingerprint
from hpo.studyfile.study import StudySpec
from hpo.studyfile.tables import read_table
from hpo.studyfile.tree import join
from hpo.studyfile.write import toml_of

__all__ = ["STUDIES", "StudySpec", "changes", "find_study", "fingerprint", "parse_study", "read_study_file"]

STUDIES = Path("studies")
"""Where a bare name is looked up, relative to the working directory."""
NO_STUDIES = (
    f"There is no folder {STUDIES}/ with studies here. Write a study of your own with `hpo init NAME --data DATA`, "
    "e.g. --data digits; the studies that the documentation names are in the folder studies/ of the source code"
)
PLAIN = (str, os.PathLike, Real, type(None))
"""Values of `data.dataset` and `data.test` that a study file has."""
EXCERPT = 60
"""Characters before and after a mistake that are shown of its line."""


def find_study(name_or_path: str) -> Path:
    """The file meant by a path, by a name under `studies/`, or by that of a file NAME.toml here."""
    path = Path(name_or_path)
    candidates = [path, STUDIES / f"{name_or_path}.toml", STUDIES / name_or_path, Path(f"{name_or_path}.toml")]
    for candidate in candidates:
        if os.path.isfile(candidate):  # unlike `Path.is_file`, False where the name is too long or unreadable
            return candidate
    known = sorted(study.stem for study in STUDIES.glob("*.toml"))
    there = f"Studies there: {listed(known)}" if known else NO_STUDIES
    raise StudyFileError(
        f"{on_one_line(str(name_or_path))}: no such study file, and no {on_one_line(f'{STUDIES / path.stem}.toml')}."
        f"{hint(path.stem, known)} {there}"
    )


def read_study_file(path: Path) -> StudySpec:
    """Read and check the file. Raises StudyFileError."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise StudyFileError(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8 text") from None
    except OSError as error:
        raise StudyFileError(f"{path}: cannot be read ({error.strerror}); give the path of a TOML file") from None
    return parse_study(text, str(path))


def parse_study(text: str, source: str) -> StudySpec:
    """Check the text of a study file; `source` names it in messages. Raises StudyFileError with every mistake."""
    document = _load(text, source)
    problems = [_unknown_table(name) for name in document if name not in (*FIXED_TABLES, *searched_tables())]
    fixed: dict[str, Any] = {}
    for name, record in FIXED_TABLES.items():
        if name == "data" and name not in document and "trial" in document:
            continue
        table = _spell_out(name, document.get(name, {}))
        fixed[name] = read_table(table, shape_of(record), name, problems, searched=False)
    tree = {}
    for name, slot in searched_tables().items():
        if name in document or (name in OF_MODELS and "trial" not in document):
            assert slot.shape is not None
            tree[name] = read_table(document.get(name, {}), slot.shape, name, problems, searched=True)
    if not problems and "trial" in tree and not isinstance(tree["trial"], dict):
        text = "a study has one training function; write one table [trial]. trial.arguments may be a choice of tables"
        problems.append(Problem(path="trial", text=text))
    if problems:
        refuse(source, problems)
    if "trial" in tree:  # a function that saves nothing would begin again each time that its trial goes on
        fixed["search"].setdefault("pruner", Median().model_dump())
    records: dict[str, Any] = {name: FIXED_TABLES[name].model_validate(table) for name, table in fixed.items()}
    records.setdefault("data", None)
    spec = StudySpec(**records, tree=tree, text=text, source=source, planned=records["search"].trials)
    if problems := broken_rules(spec):
        refuse(source, problems)
    return spec


def parse_tables(study: Mapping[str, Any]) -> StudySpec:
    """The study of a dict with the tables of a study file, in which data may be objects of Python."""
    named, given = _apart(study)
    return replace(parse_study(toml_of(named), DICT), given=given)


def _apart(study: Mapping[str, Any]) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The study with `OBJECT` where it has data as objects, and these by their key."""
    table = study.get("data")
    if not isinstance(table, Mapping):
        return study, {}
    found = {key: table[key] for key in ("dataset", "test") if not isinstance(table.get(key), PLAIN)}
    data = {key: OBJECT if key in found else value for key, value in table.items()}
    return {**study, "data": data}, {f"data.{key}": value for key, value in found.items()}


def _load(text: str, source: str) -> dict[str, Any]:
    try:
        document = tomllib.loads(text)
    except RecursionError:
        raise StudyFileError(f"{source}: brackets are nested too deeply for a study file") from None
    except tomllib.TOMLDecodeError as error:
        message = str(error).replace("Cannot overwrite a value", "a key stands twice in its table")
        place = re.search(r" \(at line (\d+), column (\d+)\)$", message)
        if not place:
            raise StudyFileError(f"{source}: broken TOML: {message}") from None
        line, column = int(place[1]), int(place[2])
        shown = text.replace("\r\n", "\n").split("\n")[line - 1]
        raise StudyFileError(
            f"{source}: broken TOML in line {line}, column {column}: {on_one_line(message[: place.start()])}\n"
            f"{_excerpt(shown, column - 1)}"
        ) from None
    except ValueError:  # Python refuses to read numbers of thousands of digits
        raise StudyFileError(f"{source}: a number has thousands of digits; write a shorter one") from None
    if (zero := _zero_character(document, "")) is not None:
        raise StudyFileError(
            f"{source}: {zero}: holds the character \\u0000, which no file name can and no database keeps"
        )
    return document


def _zero_character(node: Any, path: str) -> str | None:
    """Where a text or a key has a character of code 0; None if there is none."""
    match node:
        case str():
            return path if "\0" in node else None
        case dict():
            inside = (
                quote(key) if "\0" in key else _zero_character(value, join(path, key)) for key, value in node.items()
            )
        case list():
            inside = (_zero_character(value, f"{path}#{number}") for number, value in enumerate(node, start=1))
        case _:
            return None
    return next((place for place in inside if place is not None), None)


def _excerpt(line: str, place: int) -> str:
    """The part of a line around a position, and a mark below the position."""
    begin = max(place - EXCERPT, 0)
    before = ("..." if begin else "") + printable(line[begin:place].replace("\t", " "))
    after = printable(line[place : place + EXCERPT]) + ("..." if len(line) > place + EXCERPT else "")
    return f"  {before}{after}\n  {' ' * len(before)}^"


def _unknown_table(name: str) -> Problem:
    tables = [*FIXED_TABLES, *searched_tables()]
    text = f"unknown table.{hint(name, tables)} Tables: {', '.join(tables)}"
    if homes := homes_of(name):
        text = f"stands outside any table; it belongs under {' or '.join(f'[{home}]' for home in homes)}"
    return Problem(path=name, text=text)


def _spell_out(table: str, found: Any) -> Any:
    """`sampler = "tpe"` as `sampler = { name = "tpe" }`, and `standardize` of earlier versions as `scaling`."""
    if not isinstance(found, dict):
        return found
    if table == "data" and isinstance(found.get("standardize"), bool) and "scaling" not in found:
        scaling = "standard" if found["standardize"] else "none"
        found = {key: value for key, value in found.items() if key != "standardize"} | {"scaling": scaling}
    return {
        key: {"name": value} if f"{table}.{key}" in SHORTHANDS and isinstance(value, str) else value
        for key, value in found.items()
    }
