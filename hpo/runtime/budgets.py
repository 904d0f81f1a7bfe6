"""Which budget of a study is spent, by the limits of its study file. The service's limits are in `registry.queue`."""

from __future__ import annotations

from hpo.endings import Spent
from hpo.registry.queue import spent
from hpo.registry.studies import StudyRow
from hpo.studyfile.study import StudySpec


def spent_by(spec: StudySpec, row: StudyRow) -> Spent | None:
    """The first budget of epochs, wall time or processor time that is spent; None where none is. Trials do not
    count."""
    search = spec.search
    return spent(
        (search.epochs, row.epochs_spent),
        (search.wall_seconds, row.wall_seconds),
        (search.cpu_seconds, row.cpu_seconds),
    )
