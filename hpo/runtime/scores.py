"""What the trials in flight have scored at the epoch that counts: their objectives, their loss, and how far their folds
and repeats differ."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from hpo import ranking
from hpo.runtime.session import Session
from hpo.search.objective import best_epoch, rounded
from hpo.search.searcher import Asked
from hpo.studyfile.records import COSTS
from hpo.studyfile.study import StudySpec
from hpo.training.lane import LaneEpoch


class Scores:
    """The scores of each trial in flight, by number."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.metric = session.spec.study.metric
        self.measured = measured_objectives(session.spec)
        """Objectives that each epoch measures, the metric first."""
        self._scores: dict[int, list[tuple[float, float]]] = {}
        """Objective and validation loss of a trial's replicas."""
        self._means: dict[int, dict[str, float]] = {}
        """Means over replicas of the further objectives that are measured."""

    def undefined(self, lanes: Sequence[LaneEpoch]) -> str | None:
        """The first objective that is not finite in one of the lanes; None if all are."""
        found = (name for name in self.measured if not all(math.isfinite(lane.metrics[name]) for lane in lanes))
        return next(found, None)

    def note(self, number: int, lanes: Sequence[LaneEpoch]) -> None:
        """Takes the epoch just trained as the one that counts."""
        self._scores[number] = [(lane.metrics[self.metric], loss_of(lane)) for lane in lanes]
        self._means[number] = {name: fmean(lane.metrics[name] for lane in lanes) for name in self.measured[1:]}

    def resume(self, trial: Asked) -> None:
        """Reads those of a trial that goes on from the database."""
        curve = self.session.searcher.curve(trial.trial_id)
        epoch = best_epoch(self.session.spec.study, curve) if curve else 0
        self._scores[trial.number] = self.session.store.scores_of(trial.trial_id, epoch)
        names = self.measured[1:]
        self._means[trial.number] = self.session.store.means_of(trial.trial_id, epoch, names) if names else {}

    def end(self, number: int, costs: Mapping[str, int]) -> tuple[dict[str, Any], list[float]]:
        """Facts about a trial that ends, and its values of the objectives after the first. `costs`: of its model;
        one that could not be measured counts as infinite."""
        facts: dict[str, Any] = {}
        if scores := self._scores.pop(number, []):
            objectives, losses = zip(*scores, strict=True)
            if math.isfinite(loss := fmean(losses)):
                facts[ranking.LOSS] = rounded(loss)
            if len(objectives) > 1:
                facts["spread"] = rounded(stdev(objectives))
        means = self._means.pop(number, {})
        further = [
            rounded(means[name]) if name in self.measured else float(costs.get(COSTS[name], math.inf))
            for name in self.session.spec.study.objectives[1:]
            if means or name not in self.measured
        ]
        return facts, further


def measured_objectives(spec: StudySpec) -> tuple[str, ...]:
    """The objectives that each epoch measures, the metric first; the others are costs of the model. A function of the
    user's own reports all of them."""
    return tuple(name for name in spec.study.objectives if spec.function is not None or name not in COSTS)


def loss_of(lane: LaneEpoch) -> float:
    """The validation loss; NaN where a function of the user's own has not reported it."""
    return lane.metrics.get("loss", math.nan)
