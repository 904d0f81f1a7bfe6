"""The exclusive claim of one process on a study, as `hpo run` has it: claiming, renewing, and checking for other
claims.

Such a process has a row among the workers, whose `expires` tells the others whether it is alive. It holds no leases on
trials: workers leave a claimed study alone. A study is claimed under the study's lock.
"""

from __future__ import annotations

from sqlalchemy import Connection, Select, delete, exists, select, update

from hpo.database.clock import DatabaseNow
from hpo.database.tables import hpo_leases, hpo_studies, hpo_workers, studies, trials
from hpo.errors import StudyStateError, TakenError
from hpo.paths import argument
from hpo.registry import leases, queue
from hpo.storage.store import Store

RUN = "hpo run "
"""Prefix of the names of processes with an exclusive claim; no machine has such a name."""


def claim(
    store: Store, study_id: int, name: str, host: str, pid: int, lease_seconds: float, *, dead: str | None = None
) -> None:
    """Claim a study for process `name` alone; a submitted study is withdrawn from the workers. `StudyStateError` while
    workers, or another process with a claim, work on it. `dead`: name of a process that is known to have ended."""
    with store.locking(study_id) as connection:
        own = hpo_studies.c
        if connection.execute(
            select(hpo_workers).where(hpo_workers.c.name == name, hpo_workers.c.study_id == study_id)
        ).first():
            return  # this process has the claim already
        row = connection.execute(
            select(studies.c.study_name, own.submitted_at, own.stopped_at, own.finished_at)
            .join(studies, studies.c.study_id == own.study_id)
            .where(own.study_id == study_id)
        ).one()
        free_from_runs(connection, study_id, row.study_name, dead=dead)
        if row.submitted_at is not None and row.finished_at is None:
            if row.stopped_at is None:
                raise StudyStateError(
                    f"the study {row.study_name!r} was submitted to workers, who train it. Follow it with "
                    f"`hpo show {argument(row.study_name)} --watch`; to run it here, stop it first with "
                    f"`hpo stop {argument(row.study_name)}`."
                )
            if is_worked_on(connection, study_id):
                raise StudyStateError(at_the_last_epoch(row.study_name))
        # A worker that was suspended for longer than its lease still goes on; the missing lease and the new generation
        # make its next transaction fail.
        connection.execute(delete(hpo_leases).where(hpo_leases.c.trial_id.in_(_trials(study_id))))
        connection.execute(
            update(hpo_studies)
            .where(own.study_id == study_id)
            .values(submitted_at=None, stopped_at=None, concluder=None, generation=own.generation + 1)
        )
        leases.register_worker(store, name, host, pid, lease_seconds, study_id)


def keep(store: Store, name: str, lease_seconds: float) -> None:
    """Have the transaction in progress commit only if the process still has its claim, and send a heartbeat with it."""
    store.require(
        leases.heartbeat(name, lease_seconds),
        TakenError(
            "this process was silent for so long that another program has taken the study meanwhile. What was saved "
            "until then is what the other goes on from."
        ),
    )


def free_from_runs(connection: Connection, study_id: int, study: str, *, dead: str | None) -> None:
    """With the study locked: delete exclusive claims that have expired; `StudyStateError` if one is valid. `dead`: name
    of a process that is known to have ended."""
    own = hpo_workers.c
    of_study = (own.study_id == study_id, own.name.startswith(RUN, autoescape=True))
    statement = select(own.name, own.host, own.pid, (DatabaseNow() - own.seen).label("silent")).where(*of_study)
    known = {row.name: row for row in connection.execute(statement) if row.name != dead}
    # A process in the middle of a transaction has locked its row, so it counts as alive.
    over = select(own.name).where(*of_study, own.expires < DatabaseNow()).with_for_update(skip_locked=True)
    gone = set(connection.execute(over).scalars())
    for row in (row for name, row in known.items() if name not in gone):
        raise StudyStateError(
            f"the study {study!r} is being run by `hpo run`, process {row.pid} on {row.host} (last sign of life "
            f"{max(row.silent, 0.0):.0f} seconds ago). Wait for it, or interrupt it; one that was killed is given up "
            "after half a minute."
        )
    if over_now := [*gone, *([dead] if dead else [])]:
        connection.execute(delete(hpo_workers).where(own.name.in_(over_now)))


def is_worked_on(connection: Connection, study_id: int) -> bool:
    """Whether a living worker holds trials of the study or scores its winner, or a transaction has locked its
    leases."""
    concluding = queue.concluding().where(hpo_studies.c.study_id == study_id)
    return bool(connection.execute(select(concluding)).scalar_one()) or _is_leased(connection, study_id)


def is_trained(connection: Connection, study_id: int) -> bool:
    """Whether a living process trains the study: workers hold trials of it, or there is a valid exclusive claim."""
    own = hpo_workers.c
    claimed = exists().where(
        own.study_id == study_id, own.name.startswith(RUN, autoescape=True), own.expires > DatabaseNow()
    )
    return bool(connection.execute(select(claimed)).scalar_one()) or _is_leased(connection, study_id)


def _is_leased(connection: Connection, study_id: int) -> bool:
    held = hpo_leases.c.trial_id.in_(_trials(study_id))
    holding = exists().where(held, hpo_workers.c.name == hpo_leases.c.worker, hpo_workers.c.expires > DatabaseNow())
    if connection.execute(select(holding)).scalar_one():
        return True
    return bool(leases.locked_elsewhere(connection, held))


def at_the_last_epoch(study: str) -> str:
    """Message for a stopped study whose workers have not finished the current epoch."""
    return f"the study {study!r} is stopped, but workers are still at the epoch in hand. Try again in a moment."


def _trials(study_id: int) -> Select[tuple[int]]:
    return select(trials.c.trial_id).where(trials.c.study_id == study_id)
