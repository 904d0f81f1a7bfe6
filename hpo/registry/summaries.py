"""A list of all studies of this program, each with counts of its trials and its best value."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from optuna.study import StudyDirection
from optuna.trial import TrialState
from pydantic import TypeAdapter
from sqlalchemy import func, select

from hpo.database.decoding import formed
from hpo.database.tables import hpo_studies, studies, study_directions, trial_values, trials
from hpo.registry.studies import Direction, direction_name
from hpo.storage import own_trials
from hpo.storage.store import Store


@dataclass(frozen=True, kw_only=True, slots=True)
class StudySummary:
    """One study of the list. Times are naive UTC."""

    study_id: int
    name: str
    direction: Direction
    counts: Mapping[TrialState, int]
    """Number of trials of this program by state; 0 for a state without trials."""
    waiting: int
    """Number of trials that were enqueued and have not begun."""
    others: int
    """Number of trials that other programs added or ended."""
    best: float | None
    """Best value of a complete trial of this program."""
    created_at: datetime
    finished_at: datetime | None


_SUMMARY = TypeAdapter(StudySummary)


def list_studies(store: Store) -> list[StudySummary]:
    """All studies that `hpo run` made, oldest first."""
    value = trial_values.c.value
    with store.reading() as connection:
        rows = connection.execute(
            select(
                hpo_studies.c.study_id,
                studies.c.study_name,
                study_directions.c.direction,
                hpo_studies.c.created_at,
                hpo_studies.c.finished_at,
            )
            .join(studies, studies.c.study_id == hpo_studies.c.study_id)
            .join(study_directions, study_directions.c.study_id == hpo_studies.c.study_id)
            .order_by(hpo_studies.c.study_id)
        ).all()
        counts: dict[int, dict[TrialState, int]] = defaultdict(lambda: dict.fromkeys(TrialState, 0))
        own = select(trials.c.study_id, trials.c.state, own_trials.ours().label("ours")).subquery()
        others: Counter[int] = Counter()
        waiting: Counter[int] = Counter()
        for study_id, state, ours, count in connection.execute(select(own, func.count()).group_by(*own.c)):
            if ours:
                counts[study_id][state] = count
            else:
                (waiting if state == TrialState.WAITING else others)[study_id] += count
        extremes = (
            select(trials.c.study_id, func.min(value).label("lowest"), func.max(value).label("highest"))
            .join(trial_values, trial_values.c.trial_id == trials.c.trial_id)
            .where(trials.c.state == TrialState.COMPLETE, own_trials.ours())
            .group_by(trials.c.study_id)
        )
        best = {row.study_id: row for row in connection.execute(extremes)}
        return [
            formed(
                {
                    "study_id": study_id,
                    "name": name,
                    "direction": direction_name(direction),
                    "counts": counts[study_id],
                    "waiting": waiting[study_id],
                    "others": others[study_id],
                    "best": _best(best.get(study_id), direction),
                    "created_at": created,
                    "finished_at": finished,
                },
                _SUMMARY,
                f"studies, study id {study_id},",
            )
            for study_id, name, direction, created, finished in rows
        ]


def _best(extremes: Any, direction: StudyDirection) -> Any:
    if extremes is None:
        return None
    return extremes.highest if direction == StudyDirection.MAXIMIZE else extremes.lowest
