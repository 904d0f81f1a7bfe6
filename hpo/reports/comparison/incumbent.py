"""The best value that a search had found after each trial, how soon it reached a value, and the area under that curve.

Trials count in the order of their numbers, with all epochs that they trained, so that a repeated study has the same
figures whatever its speed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from hpo.ranking import rank_key
from hpo.reports.comparison.measures import Measure, trial_values
from hpo.reports.facts import StudyReport
from hpo.reports.trials import TrialRow

CLOSE = 0.95
"""Share of the way from the usual to the best value at which a search counts as close."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A trial that became the best so far."""

    trials: int
    """Trials up to and including it."""
    epochs: int
    """Trained by these trials."""
    seconds: float | None
    """From the start of the first trial to its end, at most the time that the study ran; None if unknown."""
    value: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Incumbents:
    """The best so far over a search."""

    steps: tuple[Step, ...]
    epochs: int
    """Trained by all trials."""

    @property
    def final(self) -> float | None:
        """The winner's value."""
        return self.steps[-1].value if self.steps else None

    def at(self, epochs: float) -> float | None:
        """The best value after so many epochs; None before the first trial has finished."""
        reached = [step.value for step in self.steps if step.epochs <= epochs]
        return reached[-1] if reached else None

    def first_at(self, value: float, measure: Measure) -> Step | None:
        """The first step that is at least as good as the value."""
        return next((step for step in self.steps if measure.better(step.value, value)), None)

    def area(self, start: int, end: int) -> float | None:
        """The mean of the best value over these epochs; None where no trial had finished by then."""
        value = self.at(start)
        if value is None or end <= start:
            return None
        total, since = 0.0, start
        for step in self.steps:
            if start < step.epochs <= end:
                total, since, value = total + value * (step.epochs - since), step.epochs, step.value
        return (total + value * (end - since)) / (end - start)


def in_order_of_ending(trials: Sequence[TrialRow]) -> Sequence[TrialRow]:
    """The trials by number, in which they end in a study whose trials are trained once; where trials pause and go on,
    in the order in which they ended."""
    if not any(trial.ended.paused for trial in trials):
        return trials
    return sorted(trials, key=lambda t: (t.completed is None, t.completed and t.completed.timestamp(), t.number))


def incumbents_of(report: StudyReport, measure: Measure) -> Incumbents:
    """The search's curve. By another metric than the objective, it is that of the trial that was best by the objective,
    so it may also get worse."""
    values = {} if measure.on_test else trial_values(report, measure)
    ranks = {
        trial.number: rank_key(trial.values, trial.valid_loss, trial.number, report.directions)
        for trial in report.best_first
    }
    started = [trial.started.timestamp() for trial in report.trials if trial.started is not None]
    steps: list[Step] = []
    best, epochs = None, 0
    for count, trial in enumerate(in_order_of_ending(report.trials), 1):
        epochs += trial.epochs
        rank = ranks.get(trial.number)
        if rank is None or trial.number not in values or (best is not None and rank >= best):
            continue
        best = rank
        seconds = None
        if started and trial.completed is not None:
            passed = trial.completed.timestamp() - min(started)
            seconds = min(passed, report.wall_seconds) if report.wall_seconds else passed
        steps.append(Step(trials=count, epochs=epochs, seconds=seconds, value=values[trial.number]))
    return Incumbents(steps=tuple(steps), epochs=epochs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Thresholds:
    """Values that searches are timed to."""

    first: float | None
    """What the first row ended with."""
    all: float | None
    """The worst that a row ended with, which every row reached."""
    close: float | None
    """95 % of the way from the median trial to the best that a row ended with."""


def thresholds_of(curves: Sequence[Sequence[Incumbents]], medians: Sequence[float], measure: Measure) -> Thresholds:
    """From each row's curves, and the median trial of each study. A row of several studies ends with their median."""
    finals = [_median([curve.final for curve in row]) for row in curves]
    known = [value for value in finals if value is not None]
    if not known:
        return Thresholds(first=None, all=None, close=None)
    best, worst = (min(known), max(known)) if measure.minimized else (max(known), min(known))
    usual = median(medians) if medians else None
    close = None if usual is None else usual + CLOSE * (best - usual)
    return Thresholds(first=finals[0], all=worst, close=close)


def reached(curves: Sequence[Incumbents], value: float | None, measure: Measure) -> Step | None:
    """The median over a row's studies of what they took to a value; None where more than half did not reach it."""
    if value is None or not curves:
        return None
    steps = [curve.first_at(value, measure) for curve in curves]
    trials, epochs, seconds = (
        median([math.inf if step is None or (cost := getattr(step, of)) is None else cost for step in steps])
        for of in ("trials", "epochs", "seconds")
    )
    if math.isinf(epochs):
        return None
    known = None if math.isinf(seconds) else seconds
    return Step(trials=math.ceil(trials), epochs=math.ceil(epochs), seconds=known, value=value)


def span_of(curves: Sequence[Sequence[Incumbents]]) -> tuple[int, int] | None:
    """The epochs over which all rows have a best value: from the latest first one to the end of the shortest search;
    None where there are none."""
    every = [curve for row in curves for curve in row if curve.steps]
    if not every:
        return None
    start, end = max(curve.steps[0].epochs for curve in every), min(curve.epochs for curve in every)
    return (start, end) if start < end else None


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
