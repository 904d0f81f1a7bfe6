"""What people do to a study of the service: submit it, stop and resume it, give it more trials or more epochs.

Workers notice it between two epochs, by what `service` tells them.
"""

from __future__ import annotations

from optuna.trial import TrialState
from sqlalchemy import delete, func, update

from hpo.errors import StudyStateError
from hpo.storage import claims
from hpo.storage.clock import utc_now
from hpo.storage.store import Store
from hpo.storage.studies import StudyRow, study_row
from hpo.storage.tables import hpo_checkpoints, hpo_studies, trial_user_attributes, trial_values, trials

REPORTED = ("ended", "best_epoch", "spread")
"""Attributes that `tell` gave a trial and that do not hold any more once it goes on."""


def submit(
    store: Store, study_id: int, *, priority: int, budgets: dict[str, float | None], dead: str | None = None
) -> None:
    """Give a study to the workers, or other budgets to one that they have; `StudyStateError` while `hpo run` has it.
    `budgets`: columns of `hpo_studies`; `dead`: a process that is known to be no more."""
    with store.locking(study_id) as connection:
        claims.free_from_runs(connection, study_id, store.get_study_name_from_id(study_id), dead=dead)
        connection.execute(
            update(hpo_studies)
            .where(hpo_studies.c.study_id == study_id)
            .values(
                submitted_at=func.coalesce(hpo_studies.c.submitted_at, utc_now()),
                finished_at=None,
                priority=priority,
                generation=hpo_studies.c.generation + 1,
                **budgets,
            )
        )


def stop(store: Store, name: str) -> StudyRow:
    """Hold a study up: workers finish the epoch in hand and leave it. Returns it as it was."""
    row = submitted(store, name)
    if row.finished_at is not None:
        raise StudyStateError(f"the study {name!r} has ended; there is nothing to stop.")
    store.write(update(hpo_studies).where(hpo_studies.c.study_id == row.study_id).values(stopped_at=utc_now()))
    return row


def resume(store: Store, name: str) -> StudyRow:
    """Let a stopped study go on. Returns it as it was."""
    row = submitted(store, name)
    if row.stopped_at is None:
        raise StudyStateError(f"the study {name!r} is not stopped; there is nothing to resume.")
    store.write(update(hpo_studies).where(hpo_studies.c.study_id == row.study_id).values(stopped_at=None))
    return row


def extend_trials(store: Store, row: StudyRow, count: int) -> None:
    """Another budget of trials, in all."""
    store.write(
        update(hpo_studies)
        .where(hpo_studies.c.study_id == row.study_id)
        .values(max_trials=count, finished_at=None, generation=hpo_studies.c.generation + 1)
    )


def extend_epochs(store: Store, row: StudyRow, epochs: int, *, fingerprint: str, reasons: tuple[str, ...]) -> list[int]:
    """Other epochs for each trial; ended trials whose reason begins with one of `reasons` go on, under their
    numbers. Returns these numbers. `fingerprint`: of what the study means with these epochs.

    A trial that goes on loses its value and its reason and runs again, held by nobody. Its last state, where it was
    kept, is what the worker that takes it continues from.
    """
    with store.tick() as tick:
        connection = tick.lock_study(row.study_id)
        ended = [
            trial
            for trial in store.get_all_trials(row.study_id, deepcopy=False)
            if trial.state.is_finished() and str(trial.user_attrs.get("ended", "")).startswith(reasons)
        ]
        ids = [trial._trial_id for trial in ended]
        connection.execute(delete(trial_values).where(trial_values.c.trial_id.in_(ids)))
        attributes = trial_user_attributes
        connection.execute(delete(attributes).where(attributes.c.trial_id.in_(ids), attributes.c.key.in_(REPORTED)))
        connection.execute(
            update(trials).where(trials.c.trial_id.in_(ids)).values(state=TrialState.RUNNING, datetime_complete=None)
        )
        of_these = hpo_checkpoints.c.trial_id.in_(ids)
        connection.execute(delete(hpo_checkpoints).where(of_these, hpo_checkpoints.c.kind == "running"))
        connection.execute(
            update(hpo_checkpoints).where(of_these, hpo_checkpoints.c.kind == "final").values(kind="running")
        )
        connection.execute(
            update(hpo_studies)
            .where(hpo_studies.c.study_id == row.study_id)
            .values(
                trial_epochs=epochs, fingerprint=fingerprint, finished_at=None, generation=hpo_studies.c.generation + 1
            )
        )
    store.forget(row.study_id)
    return [trial.number for trial in ended]


def submitted(store: Store, name: str) -> StudyRow:
    """A study of the service; `StudyStateError` if it is none."""
    row = study_row(store, name)
    if row.submitted_at is None:
        raise StudyStateError(
            f"the study {name!r} was not submitted to workers, so they leave it alone. "
            "Give it to them with `hpo submit STUDY`, or continue it yourself with `hpo run STUDY`."
        )
    return row
