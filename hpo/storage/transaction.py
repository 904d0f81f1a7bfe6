"""One transaction: collects writes by table, and writes them with few statements at its commit.

The copies of trials in memory are changed elsewhere, in `store`.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    Insert,
    Table,
    Update,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from hpo.database.tables import KEYS, OWN, studies, trials
from hpo.errors import GoneError
from hpo.storage.cache import ENDED
from hpo.storage.rows import Row, head_columns


class Transaction:
    """The writes of one transaction. In the database it begins with the first lock or immediate write, else at the
    commit."""

    def __init__(self, writer: Engine, *, single: bool) -> None:
        self.single = single
        """Whether it is the transaction of one call, which reads the state of its trial in the database and raises
        where the trial has ended."""
        self.fresh: set[int] = set()
        """Studies whose mirror has been refreshed in this transaction."""
        self.changed: set[int] = set()
        """Studies whose mirror holds changes of this transaction."""
        self.lost: set[int] = set()
        """After the transaction: ids of trials that another process had ended, of which nothing was written."""
        self.receipt: int | None = None
        """PostgreSQL's number of the transaction, once its commit has been requested; else None."""
        self.attributes: dict[tuple[Table, int], dict[str, Any]] = {}
        """Studies' attributes as this transaction sees them."""
        self._writer = writer
        self._connection: Connection | None = None
        self._rows: dict[Table, dict[tuple[Any, ...], Row]] = {}
        self._heads: dict[int, Row] = {}
        self._statements: list[tuple[Executable, list[Row] | None]] = []
        self._conditions: list[tuple[Update, Exception]] = []
        self._locked_trials: set[int] = set()
        self._locked_studies: set[int] = set()

    @property
    def begun(self) -> Connection | None:
        """The connection of the transaction, if it has begun."""
        return self._connection

    def begin(self) -> Connection:
        """Begin the transaction in the database. From here to the commit, others wait to write the same rows (SQLite:
        any row)."""
        if self._connection is None:
            self._connection = self._writer.connect()
            self._connection.begin()
        return self._connection

    def lock_study(self, study_id: int, *, shared: bool = False) -> Connection:
        """Lock a study, so that no other process creates or claims trials of it; `KeyError` if there is none. `shared`:
        other transactions may have a shared lock at the same time. A study is locked before any other row."""
        connection = self.begin()
        if study_id not in self._locked_studies:
            # key_share lets others write rows that refer to the study; else they and this one could deadlock.
            statement = select(studies.c.study_id).where(studies.c.study_id == study_id)
            statement = statement.with_for_update(read=shared, key_share=not shared)
            if connection.execute(statement).first() is None:
                raise GoneError(f"no study has the id {study_id}")
            if not shared:
                self._locked_studies.add(study_id)
        return connection

    def lock_trial(self, trial_id: int) -> TrialState:
        """Lock a trial's row and read its present state; `KeyError` if there is none."""
        states = self._lock_trials({trial_id})
        if trial_id not in states:
            raise GoneError(f"no trial has the id {trial_id}")
        return states[trial_id]

    def mark_locked(self, trial_id: int) -> None:
        """Note that this transaction created or claimed a trial, so that its state is known and need not be locked."""
        self._locked_trials.add(trial_id)

    def put(self, table: Table, row: Row) -> None:
        """At the commit, insert a row or replace the one with the same key."""
        self._rows.setdefault(table, {})[tuple(row[name] for name in KEYS[table])] = row

    def put_head(self, trial: FrozenTrial) -> None:
        """Write a trial's state and times at the commit."""
        self._heads[trial._trial_id] = {"id": trial._trial_id, **head_columns(trial)}

    def discard_rows(self, table: Table, column: str, values: set[Any]) -> None:
        """Do not write the rows of this transaction whose column has one of the values."""
        rows = self._rows.get(table, {})
        for key in [key for key, row in rows.items() if row[column] in values]:
            del rows[key]

    def run(self, statement: Executable, rows: list[Row] | None = None) -> None:
        """Execute a statement at the commit, before any rows are written."""
        self._statements.append((statement, rows))

    def require(self, statement: Update, error: Exception) -> None:
        """Execute a statement at the commit, if anything is written, before all else; raise if it affects no row."""
        self._conditions.append((statement, error))

    def commit(self) -> None:
        """Write everything, or raise and write nothing. After a lost connection, `receipt` identifies the transaction,
        so that the server can be asked whether it was committed. It may be repeated if it had not begun before."""
        self.receipt = None
        if self._connection is None:
            self._locked_trials.clear()  # locks of a previous try
        if not (self._rows or self._heads or self._statements or self._connection):
            return
        connection = self.begin()
        for condition, error in self._conditions:
            if connection.execute(condition).rowcount == 0:
                raise error
        self._drop_ended()
        for statement, rows in self._statements:
            connection.execute(statement, rows)
        for table in KEYS:
            if rows := list(self._rows.get(table, {}).values()):
                connection.execute(upsert(connection.dialect.name, table), rows)
        if heads := [{f"new_{name}": value for name, value in row.items()} for row in self._heads.values()]:
            connection.execute(_head_update(), heads)
        if connection.dialect.name == "postgresql":
            self.receipt = connection.execute(select(func.txid_current())).scalar()
        connection.commit()
        self.close()

    def close(self) -> None:
        """End the transaction, and roll back what is not committed."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(SQLAlchemyError):  # after a lost connection, the server rolls it back
                connection.close()

    def _drop_ended(self) -> None:
        """Drop the writes to Optuna's tables of trials that have ended, whoever ended them."""
        touched = {
            row["trial_id"]
            for table, rows in self._rows.items()
            if "trial_id" in table.c and table.metadata is not OWN
            for row in rows.values()
        }
        touched = (touched | self._heads.keys()) - self._locked_trials
        states = self._lock_trials(touched) if touched else {}
        self.lost |= {trial_id for trial_id in touched if states.get(trial_id, TrialState.FAIL) in ENDED}
        assert not (self.lost and self.single), "a single call reads the state of its trial first"
        for table, rows in self._rows.items():
            self._rows[table] = {key: row for key, row in rows.items() if row.get("trial_id") not in self.lost}
        for trial_id in self.lost:
            self._heads.pop(trial_id, None)

    def _lock_trials(self, trial_ids: set[int]) -> Mapping[int, TrialState]:
        """Lock rows of trials and read their states; always in the same order, so that two processes cannot
        deadlock."""
        statement = (
            select(trials.c.trial_id, trials.c.state)
            .where(trials.c.trial_id.in_(sorted(trial_ids)))
            .order_by(trials.c.trial_id)
            .with_for_update(key_share=True)
        )
        self._locked_trials |= trial_ids
        return {row.trial_id: row.state for row in self.begin().execute(statement)}


def insert_of(dialect: str, table: Table) -> Any:
    """The dialect's own insert, which can say what happens to rows that exist. Only this dialect is imported."""
    return import_module(f"sqlalchemy.dialects.{dialect}").insert(table)


@cache
def upsert(dialect: str, table: Table) -> Insert:
    """The statement that inserts rows, or replaces those with the same natural key."""
    statement = insert_of(dialect, table)
    kept = set(KEYS[table])
    changed = [column.name for column in table.c if column.name not in kept and not column.primary_key]
    replacing: Insert = statement.on_conflict_do_update(
        index_elements=KEYS[table], set_={name: statement.excluded[name] for name in changed}
    )
    return replacing


@cache
def _head_update() -> Update:
    return (
        update(trials)
        .where(trials.c.trial_id == bindparam("new_id"))
        .values(
            state=bindparam("new_state"),
            datetime_start=bindparam("new_datetime_start"),
            datetime_complete=bindparam("new_datetime_complete"),
        )
    )
