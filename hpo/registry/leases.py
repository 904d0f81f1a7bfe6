"""Workers and their leases on trials: registering, heartbeats, taking, checking and releasing leases.

All leases of a worker end at one time, `expires` in the worker's row, so that a heartbeat is one statement whatever the
number of its trials. After that time, or when the row is gone, other workers may take the trials. All times are by the
database's clock.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from optuna.trial import TrialState
from sqlalchemy import ColumnElement, Connection, Delete, Select, Update, and_, delete, func, insert, select, update

from hpo.database.clock import DatabaseNow
from hpo.database.decoding import TEXTS, json_of
from hpo.database.patience import one_transaction
from hpo.database.tables import hpo_leases, hpo_workers, trials
from hpo.storage.own_trials import ours
from hpo.storage.store import Store

FORGOTTEN_SECONDS = 24 * 3600.0
"""How long the row of a worker that died is kept after its leases expired, for people to see."""

_others = hpo_workers.alias("others")


@dataclass(frozen=True, kw_only=True, slots=True)
class Worker:
    """A worker as the database knows it. Times are seconds since 1970 by the database's clock."""

    name: str
    host: str
    pid: int
    study_id: int | None
    """The study that it works on or waits for a place in."""
    started: float
    seen: float
    """Time of its last heartbeat."""
    alive: bool
    """Whether its leases have not expired."""
    refusals: Mapping[str, str]
    """Study name -> why it cannot work on that study."""


@one_transaction
def register_worker(
    store: Store, name: str, host: str, pid: int, lease_seconds: float, study_id: int | None = None
) -> None:
    """Add a worker's row, and delete the rows of workers whose leases expired more than a day ago."""
    now = DatabaseNow()
    with store.writing() as connection:
        connection.execute(delete(hpo_workers).where(hpo_workers.c.expires < now - FORGOTTEN_SECONDS))
        connection.execute(
            insert(hpo_workers).values(
                name=name, host=host, pid=pid, study_id=study_id, started=now, seen=now, expires=now + lease_seconds
            )
        )


def heartbeat(name: str, lease_seconds: float) -> Update:
    """The statement that renews all leases of a worker."""
    now = DatabaseNow()
    return update(hpo_workers).where(hpo_workers.c.name == name).values(seen=now, expires=now + lease_seconds)


def send_heartbeat(store: Store, name: str, lease_seconds: float) -> int | None:
    """Renew a worker's leases at once. Returns how many workers are alive; None if this worker has no row any more."""
    alive = select(func.count()).select_from(_others).where(_others.c.expires > DatabaseNow(), _others.c.name != name)
    rows = store.once(heartbeat(name, lease_seconds).returning(alive.scalar_subquery()), write=True)
    return 1 + int(rows[0][0]) if rows else None


def set_current_study(store: Store, name: str, study_id: int | None) -> None:
    """Record which study a worker works on or waits for a place in; None: none."""
    store.write(update(hpo_workers).where(hpo_workers.c.name == name).values(study_id=study_id))


def record_refusals(store: Store, name: str, refusals: Mapping[str, str]) -> None:
    """Record which studies a worker cannot work on, and why."""
    text = json.dumps(dict(refusals))
    store.write(update(hpo_workers).where(hpo_workers.c.name == name).values(complaints_json=text))


@one_transaction
def unregister_worker(store: Store, name: str) -> None:
    """Release all leases of a worker, and delete its row."""
    with store.writing() as connection:
        connection.execute(_all_of(name))
        connection.execute(delete(hpo_workers).where(hpo_workers.c.name == name))


def release_all(store: Store, name: str) -> None:
    """Release all leases of a worker."""
    store.write(_all_of(name))


def _all_of(name: str) -> Delete:
    return delete(hpo_leases).where(hpo_leases.c.worker == name)


def free(study_id: ColumnElement[int] | int) -> Select[tuple[int]]:
    """The query for the free trials of a study: running trials of this program without a valid lease."""
    held = and_(hpo_leases.c.worker == hpo_workers.c.name, hpo_workers.c.expires > DatabaseNow())
    holder = select(hpo_leases.c.trial_id).where(hpo_leases.c.trial_id == trials.c.trial_id, held)
    return select(trials.c.trial_id).where(
        trials.c.study_id == study_id, trials.c.state == TrialState.RUNNING, ~holder.exists(), ours()
    )


@one_transaction
def take(store: Store, study_id: int, name: str, most: int) -> list[int]:
    """Take up to `most` free trials, oldest first, and return their ids. Of several workers, exactly one gets each."""
    if most <= 0:
        return []
    with store.transaction() as transaction:
        # Read after locking: a read before it could miss that another worker has just taken trials.
        connection = transaction.lock_study(study_id)
        candidates = [row.trial_id for row in connection.execute(free(study_id).order_by(trials.c.trial_id))]
        being_written = locked_elsewhere(connection, hpo_leases.c.trial_id.in_(candidates))
        found = [trial_id for trial_id in candidates if trial_id not in being_written][:most]
        grant(store, name, found)
    return found


def locked_elsewhere(connection: Connection, among: ColumnElement[bool]) -> set[int]:
    """Those of the trials whose leases another transaction has locked; the leases of the others are locked from here
    on.

    Locked leases are skipped, not waited for. A worker may have been suspended in the middle of its transaction, and
    whoever waited for it would keep other processes waiting, too.
    """
    leased = select(hpo_leases.c.trial_id).where(among)
    trial_ids = set(connection.execute(leased).scalars())
    return trial_ids - set(connection.execute(leased.with_for_update(skip_locked=True)).scalars())


def grant(store: Store, name: str, trial_ids: Iterable[int]) -> None:
    """Give a worker leases on trials that are free, or that it creates in this transaction."""
    store.put(hpo_leases, ({"trial_id": trial_id, "worker": name} for trial_id in trial_ids))


def lost(store: Store, name: str, trial_ids: Collection[int], lease_seconds: float) -> set[int]:
    """Those of the trials on which the worker has lost its lease, or that have ended. The leases on the others are
    locked until the end of the transaction, and the worker's leases are renewed with it."""
    with store.writing() as connection:
        # Locked in a fixed order, so that two processes that lock the same rows cannot deadlock.
        statement = (
            select(hpo_leases.c.trial_id, hpo_leases.c.worker)
            .where(hpo_leases.c.trial_id.in_(sorted(trial_ids)))
            .order_by(hpo_leases.c.trial_id)
            .with_for_update()
        )
        mine = {row.trial_id for row in connection.execute(statement) if row.worker == name}
        running = select(trials.c.trial_id).where(
            trials.c.trial_id.in_(sorted(mine)), trials.c.state == TrialState.RUNNING
        )
        kept = set(connection.execute(running).scalars())
    store.write(heartbeat(name, lease_seconds))
    return set(trial_ids) - kept


def release(store: Store, name: str, trial_ids: Collection[int]) -> None:
    """Release leases on trials: because the trials have ended, or for other workers to continue them."""
    if trial_ids:
        store.write(delete(hpo_leases).where(hpo_leases.c.worker == name, hpo_leases.c.trial_id.in_(sorted(trial_ids))))


def others(store: Store, study_id: int, name: str) -> dict[str, float]:
    """The other workers that hold trials of a study, and when their leases expire."""
    statement = (
        select(hpo_workers.c.name, hpo_workers.c.expires)
        .join(hpo_leases, hpo_leases.c.worker == hpo_workers.c.name)
        .join(trials, trials.c.trial_id == hpo_leases.c.trial_id)
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.RUNNING)
        .where(hpo_workers.c.name != name, hpo_workers.c.expires > DatabaseNow())
        .distinct()
    )
    with store.reading() as connection:
        return {row.name: row.expires for row in connection.execute(statement)}


def workers(store: Store) -> list[Worker]:
    """All workers that have a row, oldest first, including those whose leases have expired."""
    statement = select(hpo_workers, (hpo_workers.c.expires > DatabaseNow()).label("alive"))
    with store.reading() as connection:
        rows = connection.execute(statement.order_by(hpo_workers.c.started, hpo_workers.c.name)).all()
        return [
            Worker(
                name=row.name,
                host=row.host,
                pid=row.pid,
                study_id=row.study_id,
                started=row.started,
                seen=row.seen,
                alive=bool(row.alive),
                refusals=json_of(row.complaints_json, TEXTS, f"hpo_workers, worker {row.name!r},"),
            )
            for row in rows
        ]


def holders(store: Store, study_id: int) -> dict[int, str]:
    """Trial id -> the worker that holds a valid lease on it, for the running trials of a study."""
    statement = (
        select(hpo_leases.c.trial_id, hpo_leases.c.worker)
        .join(trials, trials.c.trial_id == hpo_leases.c.trial_id)
        .join(hpo_workers, hpo_workers.c.name == hpo_leases.c.worker)
        .where(trials.c.study_id == study_id, trials.c.state == TrialState.RUNNING)
        .where(hpo_workers.c.expires > DatabaseNow())
    )
    with store.reading() as connection:
        return {row.trial_id: row.worker for row in connection.execute(statement)}
