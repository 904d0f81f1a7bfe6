"""What the repeats of a confirmed winner say, as it is shown: no interval reaches beyond what the metric can be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hpo.studyfile.records import possible

if TYPE_CHECKING:
    from hpo.conclusions.confirmation import Confirmation
    from hpo.registry.studies import StudyRow


def shown_confirmation(study: StudyRow) -> Confirmation | None:
    """The record of `registry.conclusions.confirmed`, its winner's interval cut to the bounds of the objective."""
    from hpo.registry.conclusions import confirmed

    found = confirmed(study)
    if found is None:
        return None
    low, high = possible(study.objective, found.value.low, found.value.high)
    return replace(found, value=replace(found.value, low=low, high=high))
