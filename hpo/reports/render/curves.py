"""The learning curves that a report draws, with so few points that the page stays small. No plotting.

A curve is the mean over a trial's replicas (folds and repeats) at each epoch.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hpo.reports.trials import TrialRow, ranked

if TYPE_CHECKING:
    from hpo.reports.facts import StudyReport

MOST_TRIALS = 60
"""Largest number of trials that are drawn."""
MOST_NUMBERS = 120_000
"""Largest number of points on the page, at about 7 bytes each."""
FIRST_MEASURES = ("objective", "valid_loss", "train_loss", "learning_rate", "gradient_norm")
NOT_MEASURES = frozenset({"number", "replica", "epoch", "seconds", *FIRST_MEASURES})


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """One trial's curves."""

    number: int
    """Trial number."""
    state: str
    """Optuna's state of the trial."""
    value: float | None
    """The trial's objective."""
    rank: int | None
    """Rank among finished trials, 0 for the winner; None for other trials."""
    epochs: tuple[int, ...]
    series: dict[str, tuple[float | None, ...]]
    """Measure -> one point for each epoch; None if it was not finite."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curves:
    """The curves of a study, best trial first."""

    curves: tuple[Curve, ...]
    measures: tuple[str, ...]
    """Objective first."""
    omitted: int
    """Number of trials with epochs that are not drawn."""
    stride: int
    """A point is kept for every `stride` epochs; 1 keeps all."""


def evenly(items: Sequence[TrialRow], most: int) -> list[TrialRow]:
    """At most `most` items spread evenly over the sequence, first and last included."""
    if len(items) <= most:
        return list(items)
    if most <= 1:
        return list(items[:most])
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def choose(report: StudyReport, numbers_with_epochs: set[int]) -> list[tuple[int | None, TrialRow]]:
    """The trials to draw with their ranks: the twenty best, then others spread evenly over the study."""
    best_first = [t for t in ranked(report.trials, report.directions) if t.number in numbers_with_epochs]
    if report.winner in best_first:
        best_first.remove(report.winner)
        best_first.insert(0, report.winner)
    rank = {trial.number: position for position, trial in enumerate(best_first)}
    kept = best_first[:20]
    chosen = {trial.number for trial in kept}
    others = [t for t in report.trials if t.number in numbers_with_epochs and t.number not in chosen]
    return [(rank.get(trial.number), trial) for trial in [*kept, *evenly(others, MOST_TRIALS - len(kept))]]


def curves_of(report: StudyReport) -> Curves:
    """Choose, average over replicas and thin out the learning curves."""
    epochs = report.epochs
    present = [name for name in FIRST_MEASURES if name in epochs]
    others = sorted(name for name in epochs if name not in NOT_MEASURES and name != report.objective)
    measures = tuple(name for name in [*present, *others] if not bool(np.isnan(epochs[name]).all()))
    with_epochs = set(epochs["number"].tolist()) if len(epochs) else set()
    chosen = choose(report, with_epochs)
    longest = int(epochs["epoch"].max()) if len(epochs) else 0
    most_points = max(50, MOST_NUMBERS // max(1, len(chosen) * len(measures)))
    stride = max(1, math.ceil(longest / most_points))
    if not chosen:
        return Curves(curves=(), measures=measures, omitted=0, stride=stride)
    wanted = epochs.of_trials(trial.number for _, trial in chosen)
    if stride > 1:
        wanted = wanted.where((wanted["epoch"] - 1) % stride == 0)
    # If one replica is not finite, neither is the mean: an average of the others would show a curve of no trial.
    means = wanted.means(measures)
    curves = tuple(_curve(rank, trial, *means[trial.number]) for rank, trial in chosen)
    return Curves(curves=curves, measures=measures, omitted=len(with_epochs) - len(curves), stride=stride)


def _curve(rank: int | None, trial: TrialRow, epochs: Sequence[int], means: Mapping[str, Sequence[float]]) -> Curve:
    return Curve(
        number=trial.number,
        state=trial.state,
        value=trial.value,
        rank=rank,
        epochs=tuple(epochs),
        series={name: tuple(map(_short, values)) for name, values in means.items()},
    )


def _short(value: float) -> float | None:
    """The value with five significant digits, which exceeds the resolution of a screen; None if it is not finite."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
