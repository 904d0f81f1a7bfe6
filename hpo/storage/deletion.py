"""Deleting a study that nobody works on. What belongs to it in Optuna's tables is in `catalogue`; its files are not
here."""

from __future__ import annotations

from sqlalchemy import select, update

from hpo.errors import StudyStateError
from hpo.storage import catalogue, claims
from hpo.storage.patience import one_transaction
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow, study_row
from hpo.storage.tables import hpo_workers


@one_transaction
def delete_study(store: Store, name: str, *, dead: str | None = None) -> set[str]:
    """Delete a study with all its rows and leases; `StudyStateError` while workers or `hpo run` work on it. Returns the
    checkpoint files that its rows named. `dead`: a process that is known to be no more."""
    try:
        with store.locking(study_row(store, name).study_id) as connection:
            row = study_row(store, name)
            claims.free_from_runs(connection, row.study_id, name, dead=dead)
            if claims.are_at_it(connection, row.study_id):
                raise StudyStateError(_busy(row))
            paths = {checkpoint.path for checkpoint in store.checkpoints(row.study_id)}
            # Workers that wait for a place in it, or are dead: SQLite gives the id to the next study.
            at_it = select(hpo_workers.c.name).where(hpo_workers.c.study_id == row.study_id)
            names = connection.execute(at_it.with_for_update(skip_locked=True)).scalars().all()
            connection.execute(update(hpo_workers).where(hpo_workers.c.name.in_(names)).values(study_id=None))
            catalogue.drop(connection, row.study_id)
    except KeyError:
        raise StudyStateError(f"the study {name!r} has just been deleted by another program.") from None
    store.forget(row.study_id)
    return paths


def _busy(row: StudyRow) -> str:
    if row.stopped_at is None:
        return (
            f"workers train the study {row.name!r}, so it is not deleted. Stop it with `hpo stop {row.name}`, then "
            "delete it."
        )
    return claims.at_the_last_epoch(row.name)
