"""The queue of submitted studies and the status of each, from which workers choose, continue and conclude studies.

Which worker holds which trial is in `leases`; what people change about a study is in `control`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.trial import TrialState
from sqlalchemy import Exists, Row, Select, and_, exists, func, or_, select, update

from hpo.database.clock import DatabaseNow, utc_now
from hpo.database.patience import one_transaction
from hpo.database.tables import (
    hpo_studies,
    hpo_workers,
    studies,
    trials,
)
from hpo.endings import Spent
from hpo.registry import edits
from hpo.registry.leases import free
from hpo.storage.own_trials import ours
from hpo.storage.store import Store

Key = tuple[int, datetime, int]
"""Identifies one generation of a study: its id, when it was registered, and its generation. The id alone is not enough,
as SQLite gives the id of a deleted study to the next one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StudyStatus:
    """Status of a study, which a worker reads between two epochs."""

    study_id: int
    name: str
    created_at: datetime
    generation: int
    active: bool
    """Submitted, not stopped, not finished."""
    priority: int
    max_trials: int | None
    max_epochs: int | None
    max_wall_seconds: float | None
    max_cpu_seconds: float | None
    trial_epochs: int | None
    """Epochs of a trial after an extension; None: as the study file says."""
    epochs_spent: int
    wall_seconds: float
    cpu_seconds: float
    trials: int
    """Number of trials of this program, ended ones included."""
    running: int
    """Number of these that have not ended."""
    free: int
    """Number of the running ones that no worker holds."""
    workers: int
    """Number of living workers that work on it or wait for a place in it."""
    concluding: bool
    """Whether a living worker scores its winner."""
    edited: bool
    """Whether an edit is to take effect now, see `registry.edits`."""

    @property
    def key(self) -> Key:
        """The same value as long as the study is the same and unchanged."""
        return self.study_id, self.created_at, self.generation

    @property
    def spent(self) -> Spent | None:
        """The first budget of epochs, wall time or processor time that is spent; None where none is. Trials do not
        count."""
        return spent(
            (self.max_epochs, self.epochs_spent),
            (self.max_wall_seconds, self.wall_seconds),
            (self.max_cpu_seconds, self.cpu_seconds),
        )


def spent(
    epochs: tuple[int | None, int], wall: tuple[float | None, float], cpu: tuple[float | None, float]
) -> Spent | None:
    """The first of the budgets, each given as (limit, used), that is spent; None where none is."""
    for (limit, used), setting in ((epochs, "epochs"), (wall, "wall_seconds"), (cpu, "cpu_seconds")):
        if limit is not None and used >= limit:
            return Spent(setting=setting, limit=limit)
    return None


def queue(store: Store, own: str | None = None) -> list[StudyStatus]:
    """Studies that workers may work on: the highest priority first, then the oldest. A conclusion that worker `own` has
    begun does not count as `concluding`, as it is this worker that looks for work."""
    statement = _statuses(own).where(
        hpo_studies.c.submitted_at.is_not(None), hpo_studies.c.stopped_at.is_(None), hpo_studies.c.finished_at.is_(None)
    )
    order = (hpo_studies.c.priority.desc(), hpo_studies.c.submitted_at, hpo_studies.c.study_id)
    return [_status(row) for row in store.once(statement.order_by(*order))]


def status(store: Store, study_id: int) -> StudyStatus | None:
    """Status of one study; None if it has been deleted."""
    with store.reading() as connection:
        row = connection.execute(_statuses().where(hpo_studies.c.study_id == study_id)).first()
    return None if row is None else _status(row)


def status_now(store: Store, study_id: int) -> StudyStatus:
    """First call in a transaction: lock the study against changes by people until the end of the transaction, and read
    its status. So an extension sees the trials that the transaction ended, or the transaction sees the extension.
    `KeyError` if the study has been deleted."""
    store.lock_study(study_id, shared=True)
    now = status(store, study_id)  # a statement of its own: the one that waited for the lock could see the state before
    assert now is not None
    return now


@one_transaction
def begin_conclusion(store: Store, study_id: int, name: str, generation: int) -> bool:
    """Make this worker the one that scores the winner, if no trial runs and no other living worker does it. Returns
    whether it is the one."""
    alive = concluding(name)
    statement = (
        update(hpo_studies)
        .where(hpo_studies.c.study_id == study_id, hpo_studies.c.generation == generation)
        .where(hpo_studies.c.finished_at.is_(None), or_(hpo_studies.c.concluder.is_(None), ~alive), ~_running(study_id))
        .where(~edits.due())
        .values(concluder=name)
    )
    with store.writing() as connection:
        return connection.execute(statement).rowcount == 1


def finish(store: Store, study_id: int, name: str, generation: int) -> bool:
    """Mark the study as finished, unless it was extended meanwhile, a trial has gone on, or another worker concludes
    it. Returns whether it was marked. In a transaction, nobody can extend the study from then on until the commit."""
    statement = (
        update(hpo_studies)
        .where(hpo_studies.c.study_id == study_id, hpo_studies.c.generation == generation)
        .where(hpo_studies.c.concluder == name, ~_running(study_id), ~edits.due())
        .values(finished_at=utc_now())
    )
    with store.writing() as connection:
        return connection.execute(statement).rowcount == 1


def _running(study_id: int) -> Exists:
    """Condition: a trial of the study runs."""
    return exists().where(trials.c.study_id == study_id, trials.c.state == TrialState.RUNNING, ours())


def concluding(own: str | None = None) -> Exists:
    """Condition: a living worker other than `own` has begun to score the study's winner."""
    return exists().where(
        hpo_workers.c.name == hpo_studies.c.concluder,
        hpo_workers.c.study_id == hpo_studies.c.study_id,
        hpo_workers.c.expires > DatabaseNow(),
        *([hpo_workers.c.name != own] if own else []),
    )


def _statuses(own_name: str | None = None) -> Select[Any]:
    own = hpo_studies.c
    of_study = and_(trials.c.study_id == own.study_id, ours())
    count = select(func.count()).select_from(trials).where(of_study)
    at_work = (
        select(func.count())
        .select_from(hpo_workers)
        .where(hpo_workers.c.study_id == own.study_id, hpo_workers.c.expires > DatabaseNow())
    )
    return select(
        own.study_id,
        studies.c.study_name.label("name"),
        own.created_at,
        own.generation,
        own.submitted_at,
        own.stopped_at,
        own.finished_at,
        own.priority,
        own.max_trials,
        own.max_epochs,
        own.max_wall_seconds,
        own.max_cpu_seconds,
        own.trial_epochs,
        own.epochs_spent,
        own.wall_seconds,
        own.cpu_seconds,
        count.scalar_subquery().label("trials"),
        count.where(trials.c.state == TrialState.RUNNING).scalar_subquery().label("running"),
        free(own.study_id).with_only_columns(func.count()).scalar_subquery().label("free"),
        at_work.scalar_subquery().label("workers"),
        concluding(own_name).label("concluding"),
        edits.due().label("edited"),
    ).join_from(hpo_studies, studies, studies.c.study_id == own.study_id)


def _status(row: Row[Any]) -> StudyStatus:
    found = dict(row._mapping)
    submitted, stopped, finished = (found.pop(key) for key in ("submitted_at", "stopped_at", "finished_at"))
    return StudyStatus(active=submitted is not None and stopped is None and finished is None, **found)
