"""The schema: Optuna's exactly as Optuna makes it, ours as tables.py says, and versions that do not fit are refused."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from optuna.study import StudyDirection
from sqlalchemy import Connection, create_engine, inspect, text

from hpo.database.schema import MIGRATIONS, OPTUNA_MIGRATIONS, alembic_config
from hpo.database.tables import HEAD, KEYS, OPTUNA, OWN, VERSION_TABLE
from hpo.errors import StorageError
from hpo.storage.open import open_store
from hpo.storage.store import Store


@pytest.fixture
def url(bare_url: str) -> str:
    return bare_url


def test_migrations_make_what_the_tables_say(store: Store) -> None:
    with store.engine.connect() as connection:
        options = {"version_table": VERSION_TABLE, "compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts={**options, "include_object": objects_of_ours})
        assert compare_metadata(context, OWN) == []
        inspector = inspect(connection)
        for table in OWN.sorted_tables:
            found = {column["name"]: column["nullable"] for column in inspector.get_columns(table.name)}
            assert found == {column.name: column.nullable for column in table.c}
            assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [
                column.name for column in table.primary_key
            ]
            for key in inspector.get_foreign_keys(table.name):
                assert key["options"]["ondelete"] == "CASCADE"


def objects_of_ours(_: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:
    return kind != "table" or (name or "").startswith("hpo_")


def test_natural_keys_are_unique_in_the_database(store: Store) -> None:
    with store.engine.connect() as connection:
        inspector = inspect(connection)
        for table, key in KEYS.items():
            unique = [tuple(each["column_names"]) for each in inspector.get_unique_constraints(table.name)]
            unique.append(tuple(inspector.get_pk_constraint(table.name)["constrained_columns"]))
            assert key in unique, table.name


def test_the_newest_migration_is_known() -> None:
    script = ScriptDirectory(str(MIGRATIONS))
    assert script.get_heads() == [HEAD]


def test_downgrading_leaves_optunas_tables(store: Store) -> None:
    config = alembic_config(MIGRATIONS)
    with store.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    with store.engine.connect() as connection:
        assert set(inspect(connection).get_table_names()) == {*OPTUNA.tables, "alembic_version", VERSION_TABLE}


def test_optunas_tables_are_as_optuna_makes_them(url: str, new_database: Callable[[], str], tmp_path: Path) -> None:
    store = open_store(url)
    if url.startswith("sqlite"):
        other = f"sqlite:///{tmp_path}/optuna.db"
    else:
        other = new_database().replace("postgresql://", "postgresql+psycopg://")
    optuna.storages.RDBStorage(other)

    def described(connection: Connection) -> dict[str, Any]:
        inspector = inspect(connection)
        names = [name for name in inspector.get_table_names() if not name.startswith("hpo_")]
        return {
            name: (
                [(column["name"], str(column["type"]), column["nullable"]) for column in inspector.get_columns(name)],
                inspector.get_pk_constraint(name),
                inspector.get_foreign_keys(name),
                sorted(inspector.get_unique_constraints(name), key=str),
                sorted(inspector.get_indexes(name), key=str),
                sorted(map(tuple, connection.execute(text(f"SELECT * FROM {name}"))), key=str),
            )
            for name in names
        }

    with store.engine.connect() as ours, create_engine(other).connect() as theirs:
        made = described(ours)
        assert made == described(theirs)
    assert made["version_info"][-1] == [(1, 12, optuna.__version__)]
    assert made["alembic_version"][-1] == [(ScriptDirectory(str(OPTUNA_MIGRATIONS)).get_current_head(),)]


def test_a_database_of_optuna_gets_our_tables(url: str, plain_url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        (tmp_path / "new").mkdir()
    optuna.create_study(study_name="old", storage=plain_url).enqueue_trial({"x": 1})
    with pytest.raises(StorageError, match=r"none of this program's tables.*begin one with `hpo run STUDY`"):
        open_store(url, readonly=True)
    store = open_store(url)
    [study] = store.get_all_studies()
    assert [trial.number for trial in store.get_all_trials(study._study_id)] == [0]
    assert optuna.load_study(study_name="old", storage=plain_url).trials[0].number == 0


def test_opening_an_up_to_date_database_changes_nothing(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/hpo.db"
    open_store(url).close()
    before = (tmp_path / "hpo.db").read_bytes()
    open_store(url).close()
    open_store(url, readonly=True).close()
    assert (tmp_path / "hpo.db").read_bytes() == before


def test_a_killed_creation_leaves_an_empty_database(tmp_path: Path) -> None:
    """Everything is one transaction: with the journal undone, nothing is there and the next process starts anew."""
    url = f"sqlite:///{tmp_path}/hpo.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hpo.database.schema._migrate", lambda connection: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            open_store(url)
    with sqlite3.connect(tmp_path / "hpo.db") as connection:
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    open_store(url).create_new_study([StudyDirection.MAXIMIZE], "study")


def change(store: Store, statement: str) -> None:
    with store.writer.begin() as connection:
        connection.execute(text(statement))


def test_a_newer_schema_of_ours_is_refused(store: Store, url: str) -> None:
    change(store, f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    for readonly in (True, False):
        with pytest.raises(StorageError, match=r"newer hpo .schema 9999; .*pip install -U hpo"):
            open_store(url, readonly=readonly)


def test_an_earlier_schema_of_ours_is_refused(store: Store, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpo.database.schema.HEAD", "9001")
    for readonly in (True, False):
        with pytest.raises(StorageError, match=f"earlier hpo .schema {HEAD}; .* with 9001.*run `hpo db upgrade`"):
            open_store(url, readonly=readonly)


@pytest.mark.parametrize(
    ("revision", "message"),
    [
        ("v2.6.0.a", "run `hpo db upgrade`"),
        ("v99.0.0.a", "newer than the installed .*pip install -U optuna"),
    ],
)
def test_another_schema_of_optuna_is_refused(store: Store, url: str, revision: str, message: str) -> None:
    change(store, f"UPDATE alembic_version SET version_num = '{revision}'")
    change(store, "UPDATE version_info SET library_version = '1.2.3'")
    for readonly in (True, False):
        with pytest.raises(StorageError, match=message):
            open_store(url, readonly=readonly)


def test_another_optuna_with_the_same_schema_is_welcome(store: Store, url: str) -> None:
    change(store, "UPDATE version_info SET library_version = '4.9.9'")
    assert open_store(url).get_all_studies() == []
