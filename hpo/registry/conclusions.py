"""A study's winner: recording it, removing the record, and what repeats say of it, as long as it is the winner."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import delete, or_, update

from hpo.conclusions.confirmation import Confirmation
from hpo.conclusions.explanation import Explanation
from hpo.conclusions.refit import Refit
from hpo.database.tables import hpo_studies, study_user_attributes
from hpo.registry.studies import ENSEMBLE, StudyRow
from hpo.storage.store import Store

WINNER, WINNERS_TEST, ENSEMBLES_TEST = "winner", "test {} of the winner", "test {} of the winner's ensemble"
"""User attributes of a study that show its winner in optuna-dashboard."""


def set_winner(
    store: Store,
    study_id: int,
    number: int,
    test: Mapping[str, float | None] | None,
    objective: str,
    *,
    ensemble: Mapping[str, float | None] | None = None,
) -> None:
    """Record the winner and its metrics on the test part (None without a test part), also for optuna-dashboard."""
    forget_winner(store, study_id)
    together = {} if ensemble is None else {ENSEMBLE: dict(ensemble)}
    text = None if test is None else json.dumps({**test, **together}, allow_nan=False)
    _put(store, study_id, number, text)
    store.set_study_user_attr(study_id, WINNER, f"trial {number}")
    for shown, scores in ((WINNERS_TEST, test), (ENSEMBLES_TEST, ensemble)):
        if scores is not None and objective in scores:
            store.set_study_user_attr(study_id, shown.format(objective), scores[objective])


def forget_winner(store: Store, study_id: int) -> None:
    """Remove the recorded winner."""
    _put(store, study_id, None, None)
    key = study_user_attributes.c.key
    shown = or_(key == WINNER, *(key.like(name.format("%")) for name in (WINNERS_TEST, ENSEMBLES_TEST)))
    store.write(delete(study_user_attributes).where(study_user_attributes.c.study_id == study_id, shown))


def confirmed(study: StudyRow) -> Confirmation | None:
    """What the repeats say of a study's winner; None where it was not confirmed, or the study goes on and may get
    another winner."""
    found = study.facts.confirmation
    return found if found and study.finished_at is not None and found.winner == study.winner_number else None


def explained(study: StudyRow) -> Explanation | None:
    """What `hpo explain` found of a study's winner; None where it was not explained, or has another winner now."""
    found = study.facts.explanation
    return found if found and study.finished_at is not None and found.winner == study.winner_number else None


def refit_of(study: StudyRow) -> Refit | None:
    """How a study's winner was trained again on all rows; None where it was not, or has no winner now."""
    found = study.facts.refit
    return found if found and found.trial == study.winner_number else None


def _put(store: Store, study_id: int, number: int | None, scores: str | None) -> None:
    columns = {"winner_number": number, "test_json": scores}
    store.write(update(hpo_studies).where(hpo_studies.c.study_id == study_id).values(**columns))
