"""Values of trials that were trained again."""

from __future__ import annotations

from sqlalchemy import text

from hpo.registry.repeated import repeated_values
from hpo.storage.store import Store
from tests.registry.test_studies import register


def test_values_of_new_seeds_are_read_where_the_database_has_them(store: Store) -> None:
    study_id = register(store)
    assert repeated_values(store, "digits", 3) == ()
    with store.writing() as connection:
        columns = "study_id INTEGER, number INTEGER, length INTEGER, repeat INTEGER, value FLOAT"
        connection.execute(text("DROP TABLE IF EXISTS hpo_repeats"))
        connection.execute(text(f"CREATE TABLE hpo_repeats ({columns})"))
        rows = ((3, 20, 2, "0.7"), (3, 20, 1, "0.8"), (3, 20, 3, "NULL"), (3, 10, 1, "0.1"), (4, 20, 1, "0.2"))
        values = ", ".join(f"({study_id}, {n}, {length}, {repeat}, {value})" for n, length, repeat, value in rows)
        connection.execute(text(f"INSERT INTO hpo_repeats VALUES {values}"))
    assert repeated_values(store, "digits", 3) == (0.8, 0.7)
