"""A study's trials as experiment trackers know them: runs with parameters and curves. No tracker here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from hpo.registry.read import EPOCH_COLUMNS, read_epochs
from hpo.registry.studies import study_row
from hpo.reports.trials import trial_row

if TYPE_CHECKING:
    from hpo.storage.store import Store

CURVES = tuple(column for column in EPOCH_COLUMNS if column not in ("number", "replica", "epoch", "seconds"))
"""Columns of the epochs that are curves, in every study; its metrics come behind them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """The values of one epoch."""

    epoch: int
    """From 1."""
    at: datetime
    """About when it ended: the start of the trial and the time that its epochs took. Naive, local time."""
    values: Mapping[str, float]
    """Metric -> mean over folds and repeats; those that were not finite, or not measured, are absent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One trial."""

    study: str
    number: int
    state: str
    """Optuna's state."""
    ended: str
    """Why it ended, in words; empty while it runs."""
    objective: str
    """Name of the metric that was searched for."""
    value: float | None
    """Its value of it; None if there is none."""
    params: Mapping[str, Any]
    started: datetime
    """Naive, local time; also of `completed`."""
    completed: datetime | None
    points: tuple[Point, ...]


def runs_of(store: Store, name: str) -> tuple[Run, ...]:
    """The trials of the study `name` by number, those that wait apart. Raises `StudyStateError` for an unknown one."""
    study = study_row(store, name)
    frame = read_epochs(store, name).frame()
    metrics = [*CURVES, *(column for column in frame.columns if column not in EPOCH_COLUMNS)]
    means = frame.groupby(["number", "epoch"])[[*metrics, "seconds"]].mean()
    points: dict[int, dict[int, dict[str, float]]] = {}
    for row in means.reset_index().to_dict("records"):
        values = {str(column): value for column, value in row.items()}
        points.setdefault(int(values.pop("number")), {})[int(values.pop("epoch"))] = values
    return tuple(
        Run(
            study=name,
            number=trial.number,
            state=trial.state,
            ended=str(trial.ended) if trial.completed else "",
            objective=study.objective,
            value=trial.value,
            params=trial.params,
            started=trial.started,
            completed=trial.completed,
            points=_points(trial.started, points.get(trial.number, {})),
        )
        for trial in map(trial_row, store.own_trials(study.study_id))
        if trial.started is not None
    )


def _points(started: datetime, epochs: Mapping[int, dict[str, float]]) -> tuple[Point, ...]:
    found, passed = [], 0.0
    for epoch, values in sorted(epochs.items()):
        seconds = values.pop("seconds")
        passed += seconds if math.isfinite(seconds) else 0.0
        finite = {name: value for name, value in values.items() if math.isfinite(value)}
        found.append(Point(epoch=epoch, at=started + timedelta(seconds=passed), values=finite))
    return tuple(found)
