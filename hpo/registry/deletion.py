"""Deleting a study that nobody works on, in two transactions.

The first one marks the study, so that nobody begins to work on it while its files are deleted, and a later process can
complete the deletion if this one is killed. The second one deletes the rows. Optuna's rows are deleted by
`storage.study_rows`, files by `runtime.deletion`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy import Connection, select, update

from hpo.database.patience import one_transaction
from hpo.database.tables import hpo_checkpoints, hpo_studies, hpo_workers
from hpo.database.tables import studies as optuna_studies
from hpo.errors import StudyStateError
from hpo.paths import argument
from hpo.registry import exclusive, studies
from hpo.registry.facts import BEING_DELETED
from hpo.registry.studies import StudyRow, study_row
from hpo.storage import study_rows
from hpo.storage.store import Store


@one_transaction
def begin_deletion(store: Store, name: str, *, dead: str | None = None) -> StudyRow:
    """Mark a study as being deleted; `StudyStateError` while workers or `hpo run` work on it. `dead`: name of a process
    that is known to have ended. Returns the row before the change."""
    with idle(store, name, dead=dead) as (connection, row):
        connection.execute(
            update(hpo_studies)
            .where(hpo_studies.c.study_id == row.study_id)
            .values(submitted_at=None, generation=hpo_studies.c.generation + 1)
        )
        studies.set_facts(store, row.study_id, replace(row.facts, is_being_deleted=True))
    return row


@one_transaction
def delete_study(store: Store, name: str, *, dead: str | None = None) -> set[str]:
    """Delete a study with all its rows and leases; `StudyStateError` while workers or `hpo run` work on it. Returns the
    checkpoint files that its rows named. `dead`: name of a process that is known to have ended."""
    with idle(store, name, dead=dead) as (connection, row):
        paths = {checkpoint.path for checkpoint in store.checkpoints(row.study_id)}
        # Workers that wait for a place in it, or are dead, must not refer to its id: SQLite gives it to the next study.
        at_it = select(hpo_workers.c.name).where(hpo_workers.c.study_id == row.study_id)
        names = connection.execute(at_it.with_for_update(skip_locked=True)).scalars().all()
        connection.execute(update(hpo_workers).where(hpo_workers.c.name.in_(names)).values(study_id=None))
        study_rows.drop(connection, row.study_id)
    store.forget(row.study_id)
    return paths


def ended_or_being_deleted(store: Store) -> list[str]:
    """Names of the studies that have ended or are being deleted."""
    being_deleted = hpo_studies.c.facts_json.contains(f'"{BEING_DELETED}"', autoescape=True)
    statement = select(optuna_studies.c.study_name).join(
        hpo_studies, hpo_studies.c.study_id == optuna_studies.c.study_id
    )
    with store.reading() as connection:
        return list(
            connection.execute(statement.where(hpo_studies.c.finished_at.is_not(None) | being_deleted)).scalars()
        )


def named_files(store: Store) -> set[str]:
    """All checkpoint files that rows name, over all studies."""
    with store.reading() as connection:
        return set(connection.execute(select(hpo_checkpoints.c.path)).scalars())


@contextmanager
def idle(store: Store, name: str, *, dead: str | None = None) -> Iterator[tuple[Connection, StudyRow]]:
    """Lock a study that nobody works on, so that nobody begins to work on it within the block; `StudyStateError` while
    workers or `hpo run` work on it. `dead`: name of a process that is known to have ended."""
    try:
        with store.locking(study_row(store, name).study_id) as connection:
            row = study_row(store, name)
            exclusive.free_from_runs(connection, row.study_id, name, dead=dead)
            if exclusive.is_worked_on(connection, row.study_id):
                raise StudyStateError(_busy(row))
            yield connection, row
    except KeyError:
        raise StudyStateError(f"the study {name!r} has just been deleted by another program.") from None


def _busy(row: StudyRow) -> str:
    if row.stopped_at is None:
        return (
            f"workers train the study {row.name!r}, so it is not deleted. Stop it with "
            f"`hpo stop {argument(row.name)}`, then delete it."
        )
    return exclusive.at_the_last_epoch(row.name)
