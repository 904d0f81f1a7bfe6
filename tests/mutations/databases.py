"""Damaged databases: every command that opens one says so."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.export.tiny import WINE, run
from tests.mutations import families
from tests.mutations.damage import ODD_NUMBERS, ODD_TEXTS, change_tree, damaged
from tests.mutations.kinds import Answer, Kind, command

PAGE = 4096
READING = (
    ("studies",),
    ("studies", "--json"),
    ("show", "NAME"),
    ("show", "NAME", "--json"),
    ("report", "NAME"),
    ("compare", "NAME", "NAME"),
    ("export", "NAME", "-o", "FOLDER", "--force"),
)
WRITING = (
    ("run", "FILE", "--workers", "1"),
    ("run", "FILE", "--workers", "1", "--trials", "5"),
    ("submit", "FILE"),
    ("stop", "NAME"),
    ("resume", "NAME"),
    ("extend", "NAME", "--trials", "6"),
    ("extend", "NAME", "--epochs", "3"),
    ("delete", "NAME", "--yes"),
    ("db", "upgrade"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """A home folder with one study that has ended, the study's name, and its file."""

    home: Path
    name: str
    file: Path


def prepare(folder: Path, stack: ExitStack) -> list[Inputs]:
    found = []
    for name, text in (("tiny", WINE), ("function", families.texts(folder)["function"])):
        (below := folder / name).mkdir()
        home = run(text, below)
        with closing(sqlite3.connect(home / "hpo.db")) as database:  # everything into the one file
            database.execute("PRAGMA journal_mode = DELETE")
        found.append(Inputs(home=home, name=name, file=below / "study.toml"))
    return found


def attempt(studies: list[Inputs], random: Random, folder: Path) -> list[Answer]:
    inputs = random.choice(studies)
    home = folder / "home"
    shutil.copytree(inputs.home, home)
    database = home / "hpo.db"
    if random.random() < 0.35:
        database.write_bytes(_pages_changed(database.read_bytes(), random))
    else:
        _rows_changed(database, random)
    words = {"NAME": inputs.name, "FILE": str(inputs.file), "FOLDER": str(folder / "export")}
    asked = [*random.sample(READING, 3), random.choice(WRITING)]
    return [command(*(words.get(word, word) for word in line), "--home", home) for line in asked]


def _pages_changed(content: bytes, random: Random) -> bytes:
    start = PAGE * random.randrange(len(content) // PAGE)
    page = content[start : start + PAGE]
    match random.randrange(5):
        case 0:
            page = damaged(page, random)[:PAGE].ljust(PAGE, b"\0")
        case 1:
            page = random.randbytes(PAGE)
        case 2:
            page = bytes(PAGE)
        case 3:
            other = PAGE * random.randrange(len(content) // PAGE)
            page = content[other : other + PAGE]
        case 4:
            return content[:start]
    return content[:start] + page + content[start + PAGE :]


def _rows_changed(path: Path, random: Random) -> None:
    """Cells, rows and tables as another program might have left them."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        tables = sorted(row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"))
        filled = [name for name in tables if database.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()]
        for _ in range(random.choice((1, 1, 2, 4))):
            name = random.choice(filled)
            if name not in {row[0] for row in database.execute("SELECT name FROM sqlite_master")}:
                continue
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
            column, way = random.choice(columns), random.randrange(12)
            everywhere = random.random() < 0.4
            where = "" if everywhere else f" WHERE rowid = (SELECT rowid FROM {name} ORDER BY random() LIMIT 1)"
            try:
                if way == 0:
                    database.execute(f"DELETE FROM {name}{where}")
                elif way == 1:
                    database.execute(f"DROP TABLE {random.choice(tables)}")
                elif way == 2:
                    database.execute(f"ALTER TABLE {name} RENAME COLUMN {column} TO other")
                elif way < 6 and (trees := [c for c in columns if c.endswith("_json")]):
                    _json_changed(database, name, random.choice(trees), random)
                else:
                    database.execute(f"UPDATE {name} SET {column} = ?{where}", [_cell(random)])
            except (sqlite3.Error, UnicodeEncodeError):  # what the schema forbids, no program can have left
                continue


def _json_changed(database: sqlite3.Connection, table: str, column: str, random: Random) -> None:
    rows = database.execute(f"SELECT rowid, {column} FROM {table} WHERE {column} IS NOT NULL").fetchall()
    if not rows:
        return
    rowid, text = random.choice(rows)
    if random.random() < 0.3 or not _is_json(text):
        changed: Any = damaged(str(text).encode(), random)
    else:
        tree = {"": json.loads(text)}
        change_tree(tree, random)
        changed = json.dumps(tree.get(""))
    database.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE rowid = ?", [changed, rowid])


def _is_json(text: Any) -> bool:
    try:
        json.loads(text)
    except (TypeError, ValueError):
        return False
    return True


def _cell(random: Random) -> Any:
    match random.randrange(4):
        case 0:
            return None
        case 1:
            return random.choice([number for number in ODD_NUMBERS if abs(number) < 2**63 or isinstance(number, float)])
        case 2:
            return random.choice(ODD_TEXTS)
        case _:
            return random.choice((b"\xff\xfe", b"", b"\x00\x01", "2020-99-99", "[" * 50_000, "{}", "[]", "null", "NaN"))


DATABASES = Kind(name="databases", full=200, share=8, prepare=prepare, attempt=attempt)
