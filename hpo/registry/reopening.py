"""Reopening ended trials, so that they run again under their numbers: when trials that had paused go on, after a budget
that had cut them was raised, or after trials were given more epochs.

What `tell` recorded of them is removed. No worker holds them; whoever takes them continues from their last state, where
it was kept. If the winner is among them, the study has no winner until it ends again.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, delete, select, update

from hpo import endings, ranking
from hpo.attributes import lengths, weights
from hpo.database.tables import (
    hpo_checkpoints,
    hpo_studies,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
)
from hpo.registry.conclusions import forget_winner
from hpo.signs import SIGNS
from hpo.storage.rows import attribute_row
from hpo.storage.store import Store
from hpo.storage.transaction import upsert

REPORTED = (*endings.ATTRIBUTES, "best_epoch", "spread", ranking.LOSS, ranking.LEVEL, SIGNS, weights.ATTRIBUTE)
"""Attributes that `tell` gives a trial, and that are removed when it is reopened."""


def reopen_cut(store: Store, study_id: int) -> int:
    """In a transaction, when no budget is spent: reopen the trials that a budget had cut, and return their number. The
    store has to forget the study after the transaction."""
    with store.locking(study_id) as connection:
        store.forget(study_id)  # trials that ended may have run again since they were read
        ended = store.own_trials(study_id)
        cut = [t for t in ended if t.state.is_finished() and endings.of(t.user_attrs).why is endings.Ending.BUDGET]
        if cut:
            reopen(store, connection, study_id, cut)
    return len(cut)


def go_on(store: Store, study_id: int, paused: Sequence[FrozenTrial]) -> list[int]:
    """In a transaction: reopen trials that have paused. Returns their ids."""
    if paused:
        with store.locking(study_id) as connection:
            reopen(store, connection, study_id, paused)
    return [trial._trial_id for trial in paused]


def note_lengths(connection: Connection, known: Sequence[FrozenTrial], length: int) -> None:
    """With the study locked, before trials get more epochs: record that these trials had `length` epochs until now."""
    marks = trial_system_attributes
    rows = [
        attribute_row(trial._trial_id, lengths.ATTRIBUTE, lengths.lengthened(pairs, length))
        for trial in known
        if not lengths.is_open(pairs := trial.system_attrs.get(lengths.ATTRIBUTE, ()))
    ]
    if rows:  # written at once: at its commit, a transaction writes nothing about ended trials
        connection.execute(upsert(connection.dialect.name, marks), rows)


def reopen(store: Store, connection: Connection, study_id: int, ended: Sequence[FrozenTrial]) -> None:
    """In a transaction, with the study locked: turn ended trials into running ones."""
    ids = [trial._trial_id for trial in ended]
    winner = connection.execute(select(hpo_studies.c.winner_number).where(hpo_studies.c.study_id == study_id)).scalar()
    if any(trial.number == winner for trial in ended):
        forget_winner(store, study_id)
    connection.execute(delete(trial_values).where(trial_values.c.trial_id.in_(ids)))
    attributes = trial_user_attributes
    connection.execute(delete(attributes).where(attributes.c.trial_id.in_(ids), attributes.c.key.in_(REPORTED)))
    connection.execute(
        update(trials).where(trials.c.trial_id.in_(ids)).values(state=TrialState.RUNNING, datetime_complete=None)
    )
    marks = trial_system_attributes
    connection.execute(delete(marks).where(marks.c.trial_id.in_(ids), marks.c.key == endings.FINISHED_BEFORE))
    store.put(
        marks,
        (
            attribute_row(trial._trial_id, endings.FINISHED_BEFORE, len(trial.intermediate_values))
            for trial in ended
            if trial.state == TrialState.COMPLETE
        ),
    )
    of_these = hpo_checkpoints.c.trial_id.in_(ids)
    connection.execute(delete(hpo_checkpoints).where(of_these, hpo_checkpoints.c.kind == "running"))
    connection.execute(
        update(hpo_checkpoints).where(of_these, hpo_checkpoints.c.kind == "final").values(kind="running")
    )
    if ids:
        store.reread(study_id, ids)
