"""What of a study's budgets is left, when it is looked at with those of its file."""

from __future__ import annotations

from hpo.endings import Spent
from hpo.registry.queue import spent
from hpo.registry.studies import StudyRow
from hpo.studyfile.study import StudySpec


def spent_by(spec: StudySpec, row: StudyRow) -> Spent | None:
    """The budget that is spent; the one of trials is not meant. None: none is."""
    search = spec.search
    return spent(
        (search.epochs, row.epochs_spent),
        (search.wall_seconds, row.wall_seconds),
        (search.cpu_seconds, row.cpu_seconds),
    )
