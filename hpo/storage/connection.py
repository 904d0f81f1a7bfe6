"""One database as a process uses it: connections, transactions, and the copies of its studies in memory.

Optuna's storage contract is in `study_store` and `store`.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from optuna.trial import FrozenTrial
from sqlalchemy import URL, Connection, Engine, Executable, Table, Update, func, select
from sqlalchemy import Row as SqlRow
from sqlalchemy.exc import SQLAlchemyError

from hpo.database.connect import IDLE_SECONDS, connect
from hpo.database.faults import explained, masked
from hpo.database.patience import retried
from hpo.database.tables import trials
from hpo.errors import GoneError, LostConnectionError, StorageError
from hpo.storage.cache import Mirror
from hpo.storage.load import load, one_of, read_into, read_newer, refresh
from hpo.storage.rows import Row
from hpo.storage.transaction import Transaction

log = logging.getLogger(__name__)


STATUS_CHECK_SECONDS = 0.05
"""Time between two queries of the status of a transaction."""


class Reader(Connection):
    """A connection for reading. Where it is lost, the statement is repeated on a new one."""

    def __init__(self, engine: Engine, place: URL) -> None:
        """`place`: the database's URL for messages; for SQLite, a read-only engine has another URL."""
        super().__init__(engine)
        self._place = place

    def execute(self, statement: Any, parameters: Any = None, *, execution_options: Any = None) -> Any:
        def execute() -> Any:
            with explained(self._place):
                if self.invalidated:
                    self.rollback()
                return Connection.execute(self, statement, parameters, execution_options=execution_options)

        return retried(execute)


class Database:
    """Connections to one database. All methods may be called from any thread; other threads wait while a transaction is
    in progress."""

    def __init__(self, url: URL, *, readonly: bool) -> None:
        self.__setstate__({"url": url, "readonly": readonly})

    def __getstate__(self) -> dict[str, Any]:
        return {"url": self.url, "readonly": self.readonly}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.url: URL = state["url"]
        self.readonly: bool = state["readonly"]
        self.engine: Engine = connect(self.url, self.readonly)
        self.writer: Engine = self.engine.execution_options(hpo_write=True)
        self._lock = threading.RLock()
        self._transaction: Transaction | None = None
        self._mirrors: dict[int, Mirror] = {}

    @property
    def place(self) -> str:
        """The database's URL as messages show it."""
        return masked(self.url)

    def close(self) -> None:
        """Close the connections."""
        self.engine.dispose()

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is in progress, be it of a block or of a single call."""
        return self._transaction is not None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write all changes of the block in one transaction at its end, or none if it raises.

        A trial that another process has ended meanwhile does not fail the transaction: nothing is written of this
        trial, and its id is in the transaction's `lost` afterwards."""
        with self._lock:
            assert self._transaction is None, "a transaction is in progress, and transactions do not nest"
            with self._run(single=False) as transaction:
                yield transaction

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection for reading: in a transaction that has begun, the transaction's own."""
        with self._lock:
            if self._transaction is not None and self._transaction.begun is not None:
                yield self._transaction.begun
            else:
                reader = retried(self._reader)
                try:
                    with explained(self.url):
                        yield reader
                finally:
                    with suppress(SQLAlchemyError):  # all rows have been read
                        reader.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection for writing at once: in a transaction the transaction's own, else one that is committed when the
        block ends."""
        with self._changes() as transaction:
            yield transaction.begin()

    def write(self, statement: Executable) -> None:
        """Execute a statement: in a transaction at its end, else at once."""
        with self._changes() as transaction:
            transaction.run(statement)

    def once(self, statement: Executable, *, write: bool = False) -> Sequence[SqlRow[Any]]:
        """The rows of one statement, executed outside of any transaction in progress and with a single round trip.
        After a lost connection it is executed again, so it may take effect twice."""
        engine: Engine = self.writer if write else self.engine
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="AUTOCOMMIT")

        def execute() -> Sequence[SqlRow[Any]]:
            with explained(self.url), engine.begin() as connection:
                return connection.execute(statement).all()

        return retried(execute)

    def put(self, table: Table, rows: Iterable[Row]) -> None:
        """Insert rows, or replace those with the same key: in a transaction at its end, else at once."""
        with self._changes() as transaction:
            for row in rows:
                transaction.put(table, row)

    def lock_study(self, study_id: int, *, shared: bool = False) -> None:
        """In a transaction, before it reads anything: lock the study, so that no other transaction changes its trials
        until this one ends. `shared`: other transactions may have a shared lock at the same time."""
        assert self._transaction is not None, "a lock lasts as long as a transaction"
        self._transaction.lock_study(study_id, shared=shared)

    @contextmanager
    def locking(self, study_id: int) -> Iterator[Connection]:
        """As `writing`, with the study locked; `KeyError` if there is none."""
        with self._changes() as transaction:
            yield transaction.lock_study(study_id)

    def require(self, statement: Update, error: Exception) -> None:
        """Have the commit of the transaction in progress raise the error, and write nothing, if the statement affects
        no row."""
        assert self._transaction is not None, "only a transaction can have a condition"
        self._transaction.require(statement, error)

    def forget(self, study_id: int) -> None:
        """Forget a study's trials in memory, so that all are read again: other processes may write what this one
        did."""
        with self._lock:
            self._forget([study_id])

    @contextmanager
    def _changes(self) -> Iterator[Transaction]:
        """The transaction in progress, or a transaction of this one call."""
        with self._lock:
            if self._transaction is not None:
                yield self._transaction
            else:
                with self._run(single=True) as transaction:
                    yield transaction

    @contextmanager
    def _run(self, *, single: bool) -> Iterator[Transaction]:
        if self.readonly:
            raise StorageError(f"the database {self.place} was opened for reading only.")
        transaction = self._transaction = Transaction(self.writer, single=single)
        try:
            with explained(self.url):
                yield transaction
            if transaction.begun:
                self._commit(transaction)
            else:  # it has read and locked nothing yet, so its commit can be repeated on another connection
                retried(partial(self._commit, transaction))
            if transaction.lost:
                log.warning("trials %s were ended by another program; their last tick is dropped", transaction.lost)
                self._forget(transaction.changed)
        except BaseException:
            self._forget(transaction.changed)
            raise
        finally:
            self._transaction = None
            transaction.close()

    def _commit(self, transaction: Transaction) -> None:
        try:
            with explained(self.url):
                transaction.commit()
        except LostConnectionError:
            transaction.close()
            if transaction.receipt is None or not self._is_written(transaction.receipt):
                raise

    def _is_written(self, receipt: int) -> bool:
        """Whether a transaction was committed whose connection was lost during the commit."""
        deadline = time.monotonic() + IDLE_SECONDS  # by then, the server has ended a transaction without a client
        while True:
            ((status,),) = self.once(select(func.txid_status(receipt)))
            if status != "in progress" or time.monotonic() > deadline:
                return bool(status == "committed")
            time.sleep(STATUS_CHECK_SECONDS)

    def _reader(self) -> Reader:
        with explained(self.url):
            return Reader(self.engine, self.url)

    def _forget(self, study_ids: Collection[int]) -> None:
        for study_id in study_ids:
            self._mirrors.pop(study_id, None)

    def _mirror(self, study_id: int, *, look: bool = True) -> Mirror:
        """A study's mirror; `KeyError` if there is no such study. With `look`, changes of other processes are read
        first.

        A transaction reads them once, so that it sees the same state from then on.
        """
        transaction, mirror = self._transaction, self._mirrors.get(study_id)
        if mirror is not None and (not look or (transaction is not None and study_id in transaction.fresh)):
            return mirror
        with self.reading() as connection:
            if mirror is None or not refresh(connection, mirror, spare_own=transaction is not None):
                self._forget([study_id])
                mirror = self._mirrors[study_id] = load(connection, study_id)
        if transaction is not None:
            transaction.fresh.add(study_id)
        return mirror

    def _refresh_again(self, mirror: Mirror) -> None:
        """Read the changes of other processes once more within a transaction."""
        with self.reading() as connection:
            refresh(connection, mirror, spare_own=True)

    def _read_again(self, mirror: Mirror, trial_id: int) -> FrozenTrial:
        """Read one trial again; `KeyError` if it has been deleted."""
        with self.reading() as connection:
            there = read_into(connection, mirror, one_of([trial_id]))
        if not there:
            self._forget([mirror.study_id])
            raise GoneError(f"no trial has the id {trial_id}")
        return mirror.trials[trial_id]

    def _mirror_of(self, trial_id: int) -> Mirror:
        """The mirror that holds a trial; `KeyError` if there is no such trial."""
        look = self._transaction is not None and not self._transaction.single
        for mirror in list(self._mirrors.values()):
            if trial_id in mirror.trials:
                mirror = self._mirror(mirror.study_id, look=look)
                if trial_id in mirror.trials:
                    return mirror
        with self.reading() as connection:
            statement = select(trials.c.study_id).where(trials.c.trial_id == trial_id)
            study_id = connection.execute(statement).scalar()
            if study_id is None:
                raise GoneError(f"no trial has the id {trial_id}")
            mirror = self._mirror(study_id, look=look)
            if trial_id not in mirror.trials:
                read_newer(connection, mirror)
        return mirror
