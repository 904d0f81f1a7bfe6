"""Which trials of a study are this program's own. All code that ranks, counts, concludes or shows trials asks here.

Other programs can write to the database: `study.add_trial`, `enqueue_trial`, `ask` and `tell` of a plain Optuna client
and the buttons of optuna-dashboard add trials, and end ours. A trial is ours if this program began it and, where it has
ended, recorded why. A copy of one of our trials is not ours: it has neither its epochs nor a mark with its own number.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import ColumnElement, String, and_, cast, exists, literal, or_, select

from hpo import endings
from hpo.database.tables import (
    hpo_epochs,
    hpo_studies,
    study_system_attributes,
    trial_intermediate_values,
    trial_params,
    trial_system_attributes,
    trial_user_attributes,
    trial_values,
    trials,
)

MARK = "hpo:begun"
"""System attribute that marks the trials which this program begins. Of the study, it is a text that no other study has;
of each such trial, it is this text and the trial's number. Studies of earlier versions have none."""

REOPENED = "hpo:reopened"
"""System attribute of a study that counts how often ended trials of it were made to run again. All else that is read of
ended trials is read once."""

ForeignKind = Literal["waiting", "refused", "taken", "running", "added"]
"""Kinds of trials that are not ours, in this order: enqueued and not begun; enqueued and refused; begun by us and ended
by another program; another program's and not ended; another program's and ended."""


# Aliases, since the query that contains such a condition may read the same tables for something else.
_epochs, _own_studies = hpo_epochs.alias(), hpo_studies.alias()
_params, _values, _reports = trial_params.alias(), trial_values.alias(), trial_intermediate_values.alias()
_notes, _endings, _of_study = (
    trial_system_attributes.alias(),
    trial_user_attributes.alias(),
    study_system_attributes.alias(),
)


def mark(text: str, number: int) -> list[str | int]:
    """The value of a trial's mark."""
    return [text, number]


def begun() -> ColumnElement[bool]:
    """Condition on a row of `trials`: this program began the trial."""
    id_, note = trials.c.trial_id, _notes.c
    marking = and_(_of_study.c.study_id == trials.c.study_id, _of_study.c.key == MARK)
    # As json.dumps writes `mark`.
    text = literal("[") + _of_study.c.value_json + literal(", ") + cast(trials.c.number, String) + literal("]")
    marked = exists(select(note.key).where(note.trial_id == id_, note.key == MARK, marking, note.value_json == text))
    # Earlier versions marked no trials, but wrote the parameters of a trial in the transaction that created it.
    unmarked = and_(
        exists().where(_own_studies.c.study_id == trials.c.study_id),
        ~exists().where(marking),
        ~exists().where(_values.c.trial_id == id_),
        ~exists().where(_reports.c.trial_id == id_),
        or_(exists().where(_params.c.trial_id == id_), _has_ending()),
    )
    trained = exists().where(_epochs.c.trial_id == id_)
    return or_(trained, marked, and_(trials.c.state != TrialState.WAITING, unmarked))


def ours() -> ColumnElement[bool]:
    """Condition on a row of `trials`: the trial is ours, running or ended."""
    ended = and_(trials.c.state != TrialState.WAITING, _has_ending())
    return and_(or_(trials.c.state == TrialState.RUNNING, ended), begun())


def _has_ending() -> ColumnElement[bool]:
    """Condition on a row of `trials`: this program recorded why the trial ended."""
    return exists().where(_endings.c.trial_id == trials.c.trial_id, _endings.c.key == endings.CODE)


def is_ours(trial: FrozenTrial, begun: Container[int]) -> bool:
    """The same as `ours` for a trial in memory. `begun`: ids of the trials that this program began."""
    if trial._trial_id not in begun:
        return False
    return trial.state == TrialState.RUNNING or (trial.state.is_finished() and endings.CODE in trial.user_attrs)


def kind_of(trial: FrozenTrial, begun: Container[int]) -> ForeignKind:
    """The kind of a trial that is not ours."""
    if trial.state == TrialState.WAITING:
        return "waiting"
    if not trial.state.is_finished():
        return "running"
    if endings.of(trial.user_attrs).why is endings.Ending.REFUSED:
        return "refused"
    return "taken" if trial._trial_id in begun else "added"
