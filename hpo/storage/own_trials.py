"""Which trials of a study are this program's own: the one answer for all that ranks, counts, concludes or shows.

The database is open to other programs. `study.add_trial`, `enqueue_trial`, `ask` and `tell` of a plain Optuna client
and the buttons of optuna-dashboard write trials of their own, and end ours. A trial is ours if this program began it
and, where it has ended, said why. A copy of ours is none: neither its epochs nor a mark that names it are copied.
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
"""System attribute of a study that marks the trials which this program begins, with a text that no other study has, and
of each such trial, with this text and its number. Studies of earlier versions have none."""

Kind = Literal["waiting", "refused", "taken", "running", "added"]
"""What a trial is that is not ours: enqueued and not begun; enqueued and refused; begun by us and ended by another
program; another program's and not ended; another program's and ended."""


# Aliases: a query that asks may read the same tables for something else.
_epochs, _own_studies = hpo_epochs.alias(), hpo_studies.alias()
_params, _values, _reports = trial_params.alias(), trial_values.alias(), trial_intermediate_values.alias()
_notes, _tells, _of_study = (
    trial_system_attributes.alias(),
    trial_user_attributes.alias(),
    study_system_attributes.alias(),
)


def mark(text: str, number: int) -> list[str | int]:
    """What a trial's mark says."""
    return [text, number]


def begun() -> ColumnElement[bool]:
    """Whether a row of `trials` is of a trial that this program began."""
    id_, note = trials.c.trial_id, _notes.c
    marking = and_(_of_study.c.study_id == trials.c.study_id, _of_study.c.key == MARK)
    # As json.dumps writes `mark`.
    text = literal("[") + _of_study.c.value_json + literal(", ") + cast(trials.c.number, String) + literal("]")
    marked = exists(select(note.key).where(note.trial_id == id_, note.key == MARK, marking, note.value_json == text))
    # Earlier versions marked nothing. They wrote a trial's parameters in the transaction that created it.
    unmarked = and_(
        exists().where(_own_studies.c.study_id == trials.c.study_id),
        ~exists().where(marking),
        ~exists().where(_values.c.trial_id == id_),
        ~exists().where(_reports.c.trial_id == id_),
        or_(exists().where(_params.c.trial_id == id_), _told()),
    )
    trained = exists().where(_epochs.c.trial_id == id_)
    return or_(trained, marked, and_(trials.c.state != TrialState.WAITING, unmarked))


def ours() -> ColumnElement[bool]:
    """Whether a row of `trials` is of a trial of ours, in training or ended."""
    ended = and_(trials.c.state != TrialState.WAITING, _told())
    return and_(or_(trials.c.state == TrialState.RUNNING, ended), begun())


def _told() -> ColumnElement[bool]:
    return exists().where(_tells.c.trial_id == trials.c.trial_id, _tells.c.key == endings.ATTRIBUTE)


def is_ours(trial: FrozenTrial, begun: Container[int]) -> bool:
    """As `ours`, for a trial in memory; `begun` holds the ids of trials that this program began."""
    if trial._trial_id not in begun:
        return False
    return trial.state == TrialState.RUNNING or (trial.state.is_finished() and endings.ATTRIBUTE in trial.user_attrs)


def kind_of(trial: FrozenTrial, begun: Container[int]) -> Kind:
    """What a trial is that is not ours."""
    if trial.state == TrialState.WAITING:
        return "waiting"
    if not trial.state.is_finished():
        return "running"
    if endings.is_refused(str(trial.user_attrs.get(endings.ATTRIBUTE, ""))):
        return "refused"
    return "taken" if trial._trial_id in begun else "added"
