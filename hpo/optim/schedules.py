"""Learning rates of the steps of one epoch, as pure functions of the position in training. No tensors, no optimizers.

A schedule is a function of its record and the position that returns factors of the base learning rate. Only
reduce_on_plateau has a state, `Plateau`, which the caller keeps between epochs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpo.studyfile.records import (
    Constant,
    Cosine,
    CosineRestarts,
    Exponential,
    OneCycle,
    ReduceOnPlateau,
    Schedule,
    Step,
    WarmupCosine,
)

Factors = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPosition:
    """The position in training: the epoch whose rates are wanted."""

    epoch: int
    """Counted from 0."""
    epochs: int
    """Length of the whole training."""
    steps: int
    """Steps per epoch."""
    plateau_factor: float
    """The current factor of reduce_on_plateau."""

    @property
    def total(self) -> int:
        """Steps of the whole training."""
        return self.epochs * self.steps

    def numbers(self) -> Factors:
        """The epoch's steps, counted from 0 at the start of training."""
        return np.arange(self.epoch * self.steps, (self.epoch + 1) * self.steps, dtype=np.float64)


def _flat(factor: float, at: TrainingPosition) -> Factors:
    return np.full(at.steps, factor)


def _half_cosine(start: float, end: float, share: Factors) -> Factors:
    """From `start` at share 0 to `end` at share 1."""
    return end + (start - end) * (1.0 + np.cos(np.pi * share)) / 2.0


def _constant(schedule: Constant, at: TrainingPosition) -> Factors:
    return _flat(1.0, at)


def _step(schedule: Step, at: TrainingPosition) -> Factors:
    return _flat(schedule.gamma ** (at.epoch // schedule.step_epochs), at)


def _exponential(schedule: Exponential, at: TrainingPosition) -> Factors:
    return _flat(schedule.gamma**at.epoch, at)


def _cosine(schedule: Cosine, at: TrainingPosition) -> Factors:
    return _half_cosine(1.0, schedule.final, at.numbers() / at.total)


def _cosine_restarts(schedule: CosineRestarts, at: TrainingPosition) -> Factors:
    numbers, length = at.numbers(), float(schedule.period * at.steps)
    if schedule.factor == 1.0:
        return _half_cosine(1.0, schedule.final, numbers % length / length)
    start, share = 0.0, np.zeros_like(numbers)
    while start <= numbers[-1]:
        share = np.where(numbers < start, share, (numbers - start) / length)
        start, length = start + length, length * schedule.factor
    return _half_cosine(1.0, schedule.final, share)


def _warmup_cosine(schedule: WarmupCosine, at: TrainingPosition) -> Factors:
    # At least one step rises and one falls; a training of one step takes the full rate.
    rising = min(max(round(schedule.warmup * at.total), 1), at.total - 1)
    numbers = at.numbers()
    rise = (numbers + 1.0) / (rising + 1.0)
    fall = _half_cosine(1.0, schedule.final, (numbers - rising) / (at.total - rising))
    return np.where(numbers < rising, rise, fall)


def _one_cycle(schedule: OneCycle, at: TrainingPosition) -> Factors:
    # As in `torch.optim.lr_scheduler.OneCycleLR`, the maximum may lie between two steps. Unlike there, a rise of less
    # than one step is left out: that class divides by zero then, or starts below the lowest rate.
    top = max(schedule.rise * at.total - 1.0, 0.0)
    low = 1.0 / schedule.initial_divisor
    numbers = at.numbers()
    rise = _half_cosine(low, 1.0, numbers / max(top, 1.0))
    fall = _half_cosine(1.0, low / schedule.final_divisor, (numbers - top) / max(at.total - 1.0 - top, 1e-9))
    return np.where(numbers < top, rise, fall)


def _reduce_on_plateau(schedule: ReduceOnPlateau, at: TrainingPosition) -> Factors:
    return _flat(at.plateau_factor, at)


SCHEDULES: dict[str, Callable[[Any, TrainingPosition], Factors]] = {
    "constant": _constant,
    "step": _step,
    "exponential": _exponential,
    "cosine": _cosine,
    "cosine_restarts": _cosine_restarts,
    "warmup_cosine": _warmup_cosine,
    "one_cycle": _one_cycle,
    "reduce_on_plateau": _reduce_on_plateau,
}
"""Name in a study file -> function that returns the factors of an epoch's steps. Those of step, exponential and
reduce_on_plateau change between epochs, those of the others with every step."""


def rates(
    schedule: Schedule, base: float, epoch: int, epochs: int, steps: int, plateau_factor: float = 1.0
) -> NDArray[np.float64]:
    """Learning rate of each step of `epoch` (from 0), shape [steps], for a training of `epochs` of `steps` each.

    `base` is the study's learning rate, the highest that any schedule reaches.
    """
    at = TrainingPosition(epoch=epoch, epochs=epochs, steps=steps, plateau_factor=plateau_factor)
    return base * SCHEDULES[schedule.name](schedule, at)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plateau:
    """The state of reduce_on_plateau: plain numbers, which a checkpoint stores with `dataclasses.asdict` and restores
    with `Plateau(**fields)`."""

    best: float = inf
    """Lowest validation loss that counted as an improvement."""
    bad_epochs: int = 0
    """Epochs since then, or since the last reduction."""
    factor: float = 1.0
    """Share of the base learning rate in use."""


def advance(schedule: Schedule, state: Plateau, valid_loss: float) -> Plateau:
    """The state after an epoch that ended with `valid_loss`; unchanged for all other schedules.

    Like `torch.optim.lr_scheduler.ReduceLROnPlateau` with mode min, a relative threshold and eps = 0. A loss that
    is NaN is no improvement.
    """
    if not isinstance(schedule, ReduceOnPlateau):
        return state
    if valid_loss < state.best * (1.0 - schedule.threshold):
        return replace(state, best=valid_loss, bad_epochs=0)
    if state.bad_epochs < schedule.patience:
        return replace(state, bad_epochs=state.bad_epochs + 1)
    return replace(state, bad_epochs=0, factor=max(state.factor * schedule.factor, schedule.minimum))
