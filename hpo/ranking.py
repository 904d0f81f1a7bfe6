"""The order of trials from best to worst, for the winner, the kept weights, lists and reports; and the Pareto front.

Trials are ordered by their levels where they have some, see `hpo.search.objective`: the best value of many epochs is
the luckiest one. Then they are ordered by the objective, by the validation loss at the epoch that counts, and by
number. A trial without a recorded loss, which an earlier version trained, comes before trials of the same objective
with one, so that a study that continues keeps its winner.

Of several objectives, the first decides, and the others in their order where it is equal, before the loss. So the best
trial is always on the Pareto front: the trials to which no other is at least equal in all objectives and better in one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

LOSS = "valid_loss"
"""The trial's user attribute that holds the loss, the mean over folds and repeats."""

LEVEL = "level"
"""The trial's user attribute that holds the level."""

Direction = Literal["minimize", "maximize"]


def valid_loss_of(attributes: Mapping[str, Any]) -> float | None:
    """The loss among a trial's user attributes; None if there is none, or another program wrote something else
    there."""
    return _number(attributes, LOSS)


def level_of(attributes: Mapping[str, Any]) -> float | None:
    """The level, likewise."""
    return _number(attributes, LEVEL)


def _number(attributes: Mapping[str, Any], name: str) -> float | None:
    found = attributes.get(name)
    return found if type(found) in (int, float) else None


def rank_key(
    values: Sequence[float],
    valid_loss: float | None,
    number: int,
    directions: Sequence[Direction],
    level: float | None = None,
) -> tuple[float, ...]:
    """The key that trials are sorted by, best first. `values`: of all objectives, each with its direction; `level`:
    None where trials have none."""
    first = lowered(values[:1] if level is None else (level,), directions[:1])
    return (*first, *lowered(values, directions), -math.inf if valid_loss is None else valid_loss, number)


def key_of(trial: FrozenTrial, directions: Sequence[Direction]) -> tuple[float, ...]:
    """The key of a trial whose values are whole; all but its last number is equal for trials that scored alike."""
    loss, level = valid_loss_of(trial.user_attrs), level_of(trial.user_attrs)
    return rank_key(trial.values, loss, trial.number, directions, level)


def lowered(values: Sequence[float], directions: Sequence[Direction]) -> tuple[float, ...]:
    """The values of all objectives with the sign that makes less better."""
    return tuple(v if goal == "minimize" else -v for v, goal in zip(values, directions, strict=True))


def is_whole(values: Sequence[float | None], directions: Sequence[Direction]) -> bool:
    """Whether a trial has a finite value of each objective, so that it can be ordered."""
    return len(values) == len(directions) and all(value is not None and math.isfinite(value) for value in values)


def pareto_front(values: Mapping[int, Sequence[float]], directions: Sequence[Direction]) -> tuple[int, ...]:
    """Numbers of the trials that no other one dominates, the best in the first objective first. Trials with the same
    values are all on the front, in the order in which they are given."""
    points: dict[tuple[float, ...], list[int]] = {}
    for number, of_trial in values.items():
        points.setdefault(lowered(of_trial, directions), []).append(number)
    front: list[tuple[float, ...]] = []
    for point in sorted(points):  # only a point before it in this order can dominate another
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in front):
            front.append(point)
    return tuple(number for point in front for number in points[point])
