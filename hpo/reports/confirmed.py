"""What the repeats of a confirmed winner say, as it is shown: no interval reaches beyond what the metric can be; and
which trial a winner has passed that was not confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from hpo.reports.trials import same_scores
from hpo.studyfile.records import possible

if TYPE_CHECKING:
    from hpo.conclusions.confirmation import Confirmation
    from hpo.registry.studies import StudyRow
    from hpo.reports.trials import TrialRow


def shown_confirmation(study: StudyRow) -> Confirmation | None:
    """The record of `registry.conclusions.confirmed`, its winner's interval cut to the bounds of the objective."""
    from hpo.registry.conclusions import confirmed

    found = confirmed(study)
    if found is None:
        return None
    low, high = possible(study.objective, found.value.low, found.value.high)
    return replace(found, value=replace(found.value, low=low, high=high))


def ahead(study: StudyRow, best_first: Sequence[TrialRow]) -> int | None:
    """The trial that ranks first in a study that has ended, where the winner was not confirmed, but follows from what
    similar trials scored (`hpo.search.expectation`), and scored less in the search."""
    from hpo.registry.conclusions import confirmed

    if study.finished_at is None or confirmed(study):
        return None
    winner = next((trial for trial in best_first if trial.number == study.winner_number), None)
    return None if winner is None or same_scores(winner, best_first[0]) else best_first[0].number
