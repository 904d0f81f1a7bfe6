"""Where studies stand, for the list of all studies: who works on each, how its trials ended, its best value."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

from optuna.trial import TrialState
from pydantic import TypeAdapter
from sqlalchemy import func, select

from hpo.database.decoding import formed
from hpo.database.tables import trial_values, trials
from hpo.ranking import Direction
from hpo.registry.leases import Worker, workers
from hpo.registry.studies import StudyRow, StudyState, all_rows
from hpo.storage import own_trials
from hpo.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """Where a study stands. Counts are of trials of this program, if not said otherwise; times are naive UTC."""

    name: str
    state: StudyState
    priority: int
    """Workers work on studies of higher priority first."""
    workers: int
    """Number of workers, or `hpo run`, that work on it."""
    worker_names: tuple[str, ...]
    """The names of these."""
    objective: str
    """Name of the metric that the search optimises; of several objectives, the first one's."""
    direction: Direction
    best: float | None
    """Best value of a finished trial in it."""
    finished: int
    pruned: int
    failed: int
    running: int
    waiting: int
    """Number of trials that were enqueued and have not begun."""
    others: int
    """Number of trials that other programs added, train or ended, and of enqueued ones that were refused."""
    created_at: datetime
    finished_at: datetime | None

    @property
    def ended_trials(self) -> int:
        """Number of trials that used up budget."""
        return self.finished + self.pruned + self.failed


_EXTREMES = TypeAdapter(tuple[float | None, float | None])


def works_on(worker: Worker, study: StudyRow) -> bool:
    """Whether the worker is alive and works on the study, or waits for a place in it."""
    return worker.alive and worker.study_id == study.study_id and study.name not in worker.refusals


def list_studies(store: Store) -> list[StudySummary]:
    """All studies of this program, oldest first."""
    with store.reading() as connection:
        counts: dict[int, Counter[TrialState]] = defaultdict(Counter)
        own = select(trials.c.study_id, trials.c.state, own_trials.ours().label("ours")).subquery()
        others: Counter[int] = Counter()
        waiting: Counter[int] = Counter()
        for study_id, state, ours, count in connection.execute(select(own, func.count()).group_by(*own.c)):
            if ours:
                counts[study_id][state] = count
            else:
                (waiting if state == TrialState.WAITING else others)[study_id] += count
        value = trial_values.c.value
        extremes = (
            select(trials.c.study_id, func.min(value).label("lowest"), func.max(value).label("highest"))
            .join(trial_values, trial_values.c.trial_id == trials.c.trial_id)
            .where(trials.c.state == TrialState.COMPLETE, trial_values.c.objective == 0, own_trials.ours())
            .group_by(trials.c.study_id)
        )
        extremes_of = {
            study_id: formed(ends, _EXTREMES, f"trial_values of study id {study_id}")
            for study_id, *ends in connection.execute(extremes)
        }
    known = workers(store)
    found = []
    for row in all_rows(store):  # read last: a study that is deleted meanwhile is missing, and a new one has no trials
        names = tuple(worker.name for worker in known if works_on(worker, row))
        count_of = counts[row.study_id]
        found.append(
            StudySummary(
                name=row.name,
                state=row.state,
                priority=row.priority,
                workers=len(names),
                worker_names=names,
                objective=row.objective,
                direction=row.direction,
                best=_best(extremes_of.get(row.study_id), row.direction),
                finished=count_of[TrialState.COMPLETE],
                pruned=count_of[TrialState.PRUNED],
                failed=count_of[TrialState.FAIL],
                running=count_of[TrialState.RUNNING],
                waiting=waiting[row.study_id],
                others=others[row.study_id],
                created_at=row.created_at,
                finished_at=row.finished_at,
            )
        )
    return found


def _best(extremes: tuple[float | None, float | None] | None, direction: Direction) -> float | None:
    if extremes is None:
        return None
    lowest, highest = extremes
    return highest if direction == "maximize" else lowest
