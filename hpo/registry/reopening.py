"""Ended trials that run again under their numbers: because a budget that had cut them was raised, or because trials
were given more epochs.

What `tell` had said of them does not hold any more. Nobody holds them, and their last state, where it was kept, is what
whoever takes them continues from. A winner among them is none until the study ends again.
"""

from __future__ import annotations

from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import Connection, delete, select, update

from hpo import endings, lengths, ranking
from hpo.database.tables import (
    hpo_checkpoints,
    hpo_studies,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
)
from hpo.registry.studies import forget_winner
from hpo.storage.rows import attribute_row
from hpo.storage.store import Store
from hpo.storage.transaction import upsert

REPORTED = (endings.ATTRIBUTE, "best_epoch", "spread", ranking.LOSS)
"""Attributes that `tell` gave a trial and that do not hold any more once it goes on."""


def reopen_cut(store: Store, study_id: int) -> int:
    """In a transaction, when no budget is spent: lets the trials go on that one had cut; how many these are. The store
    has to forget the study after the transaction."""
    with store.locking(study_id) as connection:
        store.forget(study_id)  # what had ended may have gone on and ended again
        ended = store.own_trials(study_id)
        cut = [t for t in ended if t.state.is_finished() and endings.is_cut(endings.of(t.user_attrs))]
        if cut:
            reopen(store, connection, study_id, cut)
    return len(cut)


def note_lengths(connection: Connection, known: Sequence[FrozenTrial], length: int) -> None:
    """With the study locked: notes of these trials, before they get more epochs, that they had so many."""
    marks = trial_system_attributes
    rows = [
        attribute_row(trial._trial_id, lengths.ATTRIBUTE, lengths.lengthened(pairs, length))
        for trial in known
        if not lengths.is_open(pairs := trial.system_attrs.get(lengths.ATTRIBUTE, ()))
    ]
    if rows:  # at once, since a transaction writes nothing of trials that have ended
        connection.execute(upsert(connection.dialect.name, marks), rows)


def reopen(store: Store, connection: Connection, study_id: int, ended: Sequence[FrozenTrial]) -> None:
    """In a transaction, with the study locked: these trials run again. The store has to forget the study after the
    transaction."""
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
