"""Progress of a study, for people who watch it: the figures, and lines for a log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from optuna.trial import TrialState

from hpo import space
from hpo.execution.engines import AnyExecutor
from hpo.ranking import lowered
from hpo.runtime.session import Session
from hpo.search.searcher import Asked

log = logging.getLogger(__name__)

LINE_SECONDS = 30.0
"""Time between two lines of a log."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A trial in flight, as shown to people."""

    number: int
    epoch: int
    value: float | None
    """Its latest intermediate value."""
    best: float | None = None
    """The best one so far."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """Its values of the study's parameters."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Figures of a study after a tick."""

    budget: int
    """Number of trials that the study is to have in all."""
    finished: int
    pruned: int
    failed: int
    best: tuple[int, float] | None
    """Number and value of the finished trial with the best value."""
    running: tuple[Running, ...]
    """The trials in flight, the best one so far first, those without a value last."""
    epochs: int
    """Trial-epochs trained by this process."""
    train_seconds: float
    """Time spent training since this process began; where several workers train, that of the slowest."""
    wall_seconds: float
    """Time since this process began."""
    workers: int = 1
    """Processes that train."""
    deaths: int = 0
    """Workers that died and were replaced."""
    concluding: str = ""
    """After the search, while its winner is confirmed or trained again: what is trained, and after a colon how far."""

    @property
    def ended(self) -> int:
        return self.finished + self.pruned + self.failed


Observer = Callable[[Progress], None]


def progress(
    session: Session, executor: AnyExecutor, flight: Mapping[int, Asked], *, epochs: int, wall_seconds: float
) -> Progress:
    """Reads the progress of a study; `flight`: the trials in training, by number."""
    with session.store.transaction():  # so that the database is read once for all of this
        trials = session.searcher.all_trials()
        finished = [trial for trial in session.searcher.ranking() if trial.state == TrialState.COMPLETE]
        curves = {number: session.searcher.curve(trial.trial_id) for number, trial in sorted(flight.items())}
    directions = session.spec.study.directions
    best = min(finished, key=lambda trial: lowered(trial.values, directions), default=None)
    params = {trial.number: trial.params for trial in trials if trial.number in flight}
    count = {state: sum(t.state == state for t in trials) for state in TrialState}
    sign = 1 if session.spec.study.minimized else -1
    best_so_far = {number: min((sign * value for value in curve), default=None) for number, curve in curves.items()}
    return Progress(
        budget=space.budget(session.spec),
        finished=count[TrialState.COMPLETE],
        pruned=count[TrialState.PRUNED],
        failed=count[TrialState.FAIL],
        best=(best.number, best.values[0]) if best else None,
        running=tuple(
            Running(
                number=number,
                epoch=len(curves[number]),
                value=curves[number][-1] if curves[number] else None,
                best=None if so_far is None else sign * so_far,
                params=params.get(number, {}),
            )
            for number, so_far in sorted(best_so_far.items(), key=lambda one: (one[1] is None, one[1] or 0.0))
        ),
        epochs=epochs,
        train_seconds=executor.train_seconds,
        wall_seconds=wall_seconds,
        workers=executor.workers,
        deaths=executor.deaths,
    )


class Lines:
    """An observer that logs the progress of a study every `LINE_SECONDS`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said = -LINE_SECONDS
        self.epochs = 0
        """Trial-epochs trained by this process."""

    def __call__(self, now: Progress) -> None:
        self.epochs = now.epochs
        if now.wall_seconds - self.said < LINE_SECONDS:
            return
        self.said = now.wall_seconds
        if now.concluding:
            log.info("%s: %s", self.name, now.concluding)
            return
        log.info("%s: %d of %d trials ended, %d train here", self.name, now.ended, now.budget, len(now.running))
