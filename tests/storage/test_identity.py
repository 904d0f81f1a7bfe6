"""A database is known from its copies."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from hpo.storage.identity import identity
from hpo.storage.open import open_store, sqlite_url


def of_file(home: Path, root: Path | None) -> str:
    with closing(open_store(sqlite_url(home))) as store:
        return identity(store, root)


def test_a_file_is_known_by_its_place(tmp_path: Path) -> None:
    home = tmp_path / "home"
    known, inside = of_file(home, None), of_file(home, home)
    shutil.copytree(home, tmp_path / "copy")
    assert of_file(tmp_path / "copy", None) != known
    assert of_file(tmp_path / "copy", home) != inside
    assert of_file(tmp_path / "copy", tmp_path / "copy") == inside, "both were moved together"


def test_a_database_on_a_server_is_known_by_its_numbers(new_database: Callable[[], str]) -> None:
    one, other = new_database(), new_database()
    found = []
    for url in (one, one, other):
        with closing(open_store(url)) as store:
            found.append(identity(store, None))
    assert found[0] == found[1] != found[2]
    assert all(text.startswith("server ") and "postgresql" not in text for text in found)
