"""Changes that people make to a submitted study: submit, stop, resume, more trials, more epochs.

Workers notice a change between two epochs, when they read the study's status (`queue`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, func, update

from hpo import endings
from hpo.database.clock import utc_now
from hpo.database.patience import one_transaction
from hpo.database.tables import hpo_studies
from hpo.errors import StudyStateError
from hpo.paths import argument, run_command, submit_command
from hpo.registry import edits, exclusive, leases
from hpo.registry.queue import status
from hpo.registry.reopening import note_lengths, reopen
from hpo.registry.studies import StudyRow, study_row
from hpo.storage.store import Store


@one_transaction
def submit(
    store: Store, study_id: int, *, priority: int | None, budgets: dict[str, float | None], dead: str | None = None
) -> None:
    """Submit a study to the workers, or change the budgets of a submitted one; `StudyStateError` while `hpo run` runs
    it. A finished study stays finished until it is marked as unfinished. `budgets`: columns of `hpo_studies`.
    `priority`: None keeps the present one, which is 0 at first. `dead`: name of a process that is known to have
    ended."""
    with store.locking(study_id) as connection:
        exclusive.free_from_runs(connection, study_id, store.get_study_name_from_id(study_id), dead=dead)
        connection.execute(
            update(hpo_studies)
            .where(hpo_studies.c.study_id == study_id)
            .values(
                submitted_at=func.coalesce(hpo_studies.c.submitted_at, utc_now()),
                priority=hpo_studies.c.priority if priority is None else priority,
                generation=hpo_studies.c.generation + 1,
                **budgets,
            )
        )


@one_transaction
def stop(store: Store, name: str) -> None:
    """Stop a study: its workers finish the current epoch and leave it."""
    with locked(store, submitted(store, name)) as row:
        if row.finished_at is not None:
            raise StudyStateError(f"the study {name!r} has ended; there is nothing to stop.")
        _set(store, row, stopped_at=utc_now())


@one_transaction
def resume(store: Store, name: str) -> StudyRow:
    """Resume a stopped study. Returns its row before the change."""
    with locked(store, submitted(store, name)) as row:
        if row.stopped_at is None:
            raise StudyStateError(f"the study {name!r} is not stopped; there is nothing to resume.")
        _set(store, row, stopped_at=None)
    return row


@one_transaction
def extend_trials(store: Store, row: StudyRow, count: int) -> None:
    """Alone or in a transaction: set the budget of trials to `count` in all; `StudyStateError` while another budget is
    spent."""
    with locked(store, row) as now:
        _refuse_spent(store, now)
        _note(store, now, f"search.trials: was {now.max_trials}, is {count}")
        _set(store, now, max_trials=count, finished_at=None, generation=now.generation + 1)


@one_transaction
def extend_epochs(
    store: Store, row: StudyRow, epochs: int, *, before: int, fingerprint: str, pruned: bool = False
) -> list[int]:
    """Alone or in a transaction: give each trial `epochs` epochs instead of `before`. Finished trials run again under
    their numbers, with `pruned` also those that the pruner ended. Returns the numbers of these trials.

    `fingerprint`: of the study with these epochs. `StudyStateError` while a budget is spent, since the trials would be
    cut at once. After an enclosing transaction, the store has to forget the study."""
    with locked(store, row) as now, store.writing() as connection:
        if now.trial_epochs != row.trial_epochs:
            raise StudyStateError(
                f"the study {row.name!r} got {now.trial_epochs} epochs at the same moment; look at it, then try again."
            )
        _refuse_spent(store, row)
        _note(store, now, f"training.epochs: was {before}, is {epochs}")
        numbers = lengthen(store, connection, row.study_id, before, pruned=pruned)
        _set(
            store,
            row,
            trial_epochs=epochs,
            fingerprint=fingerprint,
            finished_at=None,
            generation=now.generation + 1,
        )
    store.forget(row.study_id)
    return numbers


def lengthen(store: Store, connection: Connection, study_id: int, before: int, *, pruned: bool = False) -> list[int]:
    """With the study locked: have the ended trials run again that more epochs than `before` let go on, and return their
    numbers; see `extend_epochs`."""
    store.forget(study_id)  # trials that ended may have run again since they were read
    found = store.own_trials(study_id)
    note_lengths(connection, found, before)
    ended = [
        trial
        for trial in found
        if trial.state.is_finished() and endings.of(trial.user_attrs).goes_on(also_pruned=pruned)
    ]
    reopen(store, connection, study_id, ended)
    return [trial.number for trial in ended]


def _note(store: Store, row: StudyRow, change: str) -> None:
    """Add an extension, which takes effect at once, to the log of edits; `StudyStateError` while an edit waits."""
    known = edits.edits_of(store, row.study_id)
    if any(edit.waits for edit in known):
        raise StudyStateError(
            f"the study {row.name!r} has been edited, and the edit has not taken effect yet. `hpo show "
            f"{argument(row.name)}` says when it does; extend the study then."
        )
    place = (len(store.own_trials(row.study_id)), row.epochs_spent)
    with store.writing() as connection:
        edits.add(connection, row, known, [change], text=row.spec_text, source=row.spec_source, at=place)


def _refuse_spent(store: Store, row: StudyRow) -> None:
    """Raise `StudyStateError` if a budget other than that of trials is spent."""
    now = status(store, row.study_id)
    if now is None or now.spent is None:
        return
    source, setting = row.spec_source, now.spent.setting
    raise StudyStateError(
        f"{now.spent}, so there would be no more training. Raise search.{setting} in {source}, "
        f"give it to the study with `{submit_command(source)}`, then extend it."
    )


@contextmanager
def locked(store: Store, before: StudyRow) -> Iterator[StudyRow]:
    """A transaction, or the one in progress, that locks a submitted study. Yields its present row; `StudyStateError` if
    it is not submitted any more."""
    with nullcontext() if store.in_transaction else store.transaction():
        store.lock_study(before.study_id)
        yield submitted(store, before.name)


def _set(store: Store, row: StudyRow, **columns: Any) -> None:
    store.write(update(hpo_studies).where(hpo_studies.c.study_id == row.study_id).values(**columns))


def submitted(store: Store, name: str) -> StudyRow:
    """The row of a submitted study; `StudyStateError` if it was not submitted."""
    row = study_row(store, name)
    if row.submitted_at is None:
        for run in leases.workers(store):
            if run.alive and run.study_id == row.study_id and run.name.startswith(exclusive.RUN):
                raise StudyStateError(
                    f"the study {name!r} is in the hands of `hpo run`, process {run.pid} on {run.host}. To stop it, "
                    "interrupt that with Ctrl-C: everything is saved. For more trials or larger budgets, change them "
                    f"in {row.spec_source} then and run the same command again; for more epochs for each trial, give "
                    f"it to workers with `{submit_command(row.spec_source)}`, then extend it."
                )
        raise StudyStateError(
            f"the study {name!r} was not submitted to workers, so they leave it alone. "
            f"Give it to them with `{submit_command(row.spec_source)}`, or continue it yourself with "
            f"`{run_command(row.spec_source)}`."
        )
    return row
