"""What repeats say of a study's winner, as long as it is its winner. The records are among the facts of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hpo.conclusions.confirmation import Confirmation
from hpo.conclusions.explanation import Explanation

if TYPE_CHECKING:
    from hpo.registry.studies import StudyRow


def confirmed(study: StudyRow) -> Confirmation | None:
    """What the repeats say of a study's winner; None where it was not confirmed, or the study goes on and may get
    another winner."""
    found = study.facts.confirmation
    return found if found and study.finished_at is not None and found.winner == study.winner_number else None


def explained(study: StudyRow) -> Explanation | None:
    """What `hpo explain` found of a study's winner; None where it was not explained, or has another winner now."""
    found = study.facts.explanation
    return found if found and study.finished_at is not None and found.winner == study.winner_number else None
