"""The curves of the trials in flight, kept for the rules that look at them when a trial ends."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from hpo.signs import Sign
from hpo.studyfile.records import MINIMIZED
from hpo.training.batches import Examples
from hpo.training.diagnosis import rules
from hpo.training.diagnosis.measure import constant_loss
from hpo.training.diagnosis.updates import Updates
from hpo.training.lane import LaneEpoch

Point = tuple[float, float, float, float]
"""Training loss, validation loss, objective and gradient norm of an epoch, means over replicas."""


class Watch:
    """Remembers the curves of trials by number."""

    def __init__(self, objective: str, examples: Examples | None) -> None:
        """`examples`: what trials train on; None where they are functions of the user's own, of whose curves nothing
        is known."""
        self.objective = objective
        self.constant = None if examples is None else constant_loss(examples)
        self.points: dict[int, list[Point]] = {}

    def resume(self, number: int, points: Sequence[Point]) -> None:
        """The curves so far of a trial that is continued."""
        self.points[number] = list(points)

    def add(self, number: int, lanes: Sequence[LaneEpoch]) -> None:
        """An epoch of a trial: its replicas."""
        if self.constant is None:
            return
        self.points.setdefault(number, []).append(
            (
                fmean(lane.train_loss for lane in lanes),
                fmean(lane.metrics["loss"] for lane in lanes),
                fmean(lane.metrics[self.objective] for lane in lanes),
                fmean(lane.gradient_norm for lane in lanes),
            )
        )

    def end(self, number: int, *, complete: bool, updates: Updates | None) -> list[Sign]:
        """The signs of a trial that ends, which is forgotten. `complete`: it trained all of its epochs."""
        points = self.points.pop(number, [])
        if not points or self.constant is None:
            return []
        train, valid, objective, gradient = zip(*points, strict=True)
        sign = -1.0 if self.objective in MINIMIZED else 1.0
        curves = rules.Curves(
            train_loss=train,
            valid_loss=valid,
            objective=[sign * value for value in objective],
            gradient_norm=gradient,
            constant_loss=self.constant,
            complete=complete,
            updates=updates,
        )
        return rules.of_curves(curves)
