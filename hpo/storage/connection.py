"""One database as a process uses it: connections, transactions, and the mirrors of its studies. No Optuna contract
here."""

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


LOOK_SECONDS = 0.05
"""Between two looks at what became of a transaction."""


class Reader(Connection):
    """A connection to read with, each statement by itself: where it is lost, another one takes its place."""

    def __init__(self, engine: Engine, place: URL) -> None:
        """`place`: the database as messages name it; an engine that only reads has another URL for SQLite."""
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
    """Connections to one database. All methods may be called from any thread; a transaction keeps other threads
    waiting."""

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
        """Whether a transaction, or a call, is in progress."""
        return self._transaction is not None

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Write all changes of the block in one transaction at its end, or none if it raises.

        A trial that another process has ended meanwhile does not fail the transaction: nothing of it is written and its
        id is in the transaction's `lost` afterwards."""
        with self._lock:
            assert self._transaction is None, "a tick is in progress, and ticks do not nest"
            with self._run(single=False) as transaction:
                yield transaction

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection to read with: in a transaction that has begun, the transaction's own."""
        with self._lock:
            if self._transaction is not None and self._transaction.begun is not None:
                yield self._transaction.begun
            else:
                reader = retried(self._reader)
                try:
                    with explained(self.url):
                        yield reader
                finally:
                    with suppress(SQLAlchemyError):  # it has been read
                        reader.close()

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A connection to write with at once: in a transaction the transaction's own, else one committed when the block
        ends."""
        with self._changes() as transaction:
            yield transaction.begin()

    def write(self, statement: Executable) -> None:
        """Execute a statement: in a transaction at its end, else at once."""
        with self._changes() as transaction:
            transaction.run(statement)

    def once(self, statement: Executable, *, write: bool = False) -> Sequence[SqlRow[Any]]:
        """The rows of one statement, executed beside whatever transaction is in progress and with no round trips but
        its own. It may be executed twice, where the connection is lost meanwhile."""
        engine: Engine = self.writer if write else self.engine
        if engine.dialect.name == "postgresql":
            engine = engine.execution_options(isolation_level="AUTOCOMMIT")

        def execute() -> Sequence[SqlRow[Any]]:
            with explained(self.url), engine.begin() as connection:
                return connection.execute(statement).all()

        return retried(execute)

    def put(self, table: Table, rows: Iterable[Row]) -> None:
        """Write rows, each in place of the one with the same key: in a transaction at its end, else at once."""
        with self._changes() as transaction:
            for row in rows:
                transaction.put(table, row)

    def lock_study(self, study_id: int, *, shared: bool = False) -> None:
        """In a transaction, before its first look: what it sees of the study's trials stays so until its end. `shared`:
        other transactions may hold the study in this way at the same time."""
        assert self._transaction is not None, "a lock lasts as long as a tick"
        self._transaction.lock_study(study_id, shared=shared)

    @contextmanager
    def locking(self, study_id: int) -> Iterator[Connection]:
        """As `writing`, with the study locked; `KeyError` if there is none."""
        with self._changes() as transaction:
            yield transaction.lock_study(study_id)

    def require(self, statement: Update, error: Exception) -> None:
        """Have the transaction in progress raise the error, and write nothing, if the statement affects no row."""
        assert self._transaction is not None, "a condition is one of a tick"
        self._transaction.require(statement, error)

    def forget(self, study_id: int) -> None:
        """Read a study anew when it is next asked for, because others may write what was ours."""
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
            else:  # what it saw and locked is not lost with a connection
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
        """Whether a transaction was written, though the connection was lost when that was asked for."""
        deadline = time.monotonic() + IDLE_SECONDS  # by then, the server has undone one whose process is gone
        while True:
            ((status,),) = self.once(select(func.txid_status(receipt)))
            if status != "in progress" or time.monotonic() > deadline:
                return bool(status == "committed")
            time.sleep(LOOK_SECONDS)

    def _reader(self) -> Reader:
        with explained(self.url):
            return Reader(self.engine, self.url)

    def _forget(self, study_ids: Collection[int]) -> None:
        for study_id in study_ids:
            self._mirrors.pop(study_id, None)

    def _mirror(self, study_id: int, *, look: bool = True) -> Mirror:
        """A study's mirror, with `look` after a look at what others changed; `KeyError` if there is no such study.

        A transaction looks once, so that nothing changes under its feet.
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

    def _look_again(self, mirror: Mirror) -> None:
        """Read what others changed, although this transaction has looked before."""
        with self.reading() as connection:
            refresh(connection, mirror, spare_own=True)

    def _read_again(self, mirror: Mirror, trial_id: int) -> FrozenTrial:
        """Read one trial; `KeyError` if it is gone."""
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
