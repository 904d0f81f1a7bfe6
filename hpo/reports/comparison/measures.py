"""What studies are compared by: their objective or another recorded metric, and its values at the epoch that counts."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hpo.errors import InputError
from hpo.printable import listed
from hpo.registry.read import EPOCH_COLUMNS
from hpo.reports.comparison.entries import NAMED
from hpo.reports.facts import StudyReport
from hpo.reports.trials import TrialRow
from hpo.studyfile.records import METRICS, MINIMIZED

TEST = "test."
"""Precedes a metric of the winner on the test part."""
LOSSES = ("train_loss", "valid_loss")


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """What studies are compared by."""

    name: str
    """`accuracy`, or `test.accuracy` of the winner on the test part."""
    minimized: bool
    """Whether less of it is better."""

    @property
    def on_test(self) -> bool:
        """Whether it is of the test part, where only winners are scored."""
        return self.name.startswith(TEST)

    def is_objective_of(self, report: StudyReport) -> bool:
        """Whether the study selected its winner by it."""
        return self.name == report.objective

    def better(self, value: float, than: float) -> bool:
        """Whether a value is at least as good as another one."""
        return value <= than if self.minimized else value >= than


def measure_of(reports: Sequence[StudyReport], metric: str | None) -> Measure:
    """The metric that is asked for, by default the objective of the first study. Raises InputError for one that no
    study recorded, or of which nothing says whether less of it is better."""
    first = reports[0]
    if metric is None:
        return Measure(name=first.objective, minimized=first.minimized)
    recorded = dict.fromkeys(name for report in reports for name in recorded_by(report))
    if metric == "loss" and metric not in recorded and "valid_loss" in recorded:
        metric = "valid_loss"  # what the objective `loss` is called among the recorded metrics
    if metric not in recorded:
        close = difflib.get_close_matches(metric, recorded, n=1)
        guess = f"Did you mean {close[0]!r}? " if close else ""
        raise InputError(f"no study recorded the metric {metric!r}. {guess}There are: {listed(recorded, NAMED)}.")
    name = metric.removeprefix(TEST)
    goals = (zip(report.objectives, report.directions, strict=True) for report in reversed(reports))
    directions = {name: goal == "minimize" for goal_of in goals for name, goal in goal_of}
    if name in directions:
        return Measure(name=metric, minimized=directions[name])
    if name not in METRICS and name not in LOSSES:
        raise InputError(
            f"nothing says whether less or more of {name!r} is better, because it is no study's objective. Compare by "
            f"one of: {listed((name for name in recorded if name in {*METRICS, *LOSSES, *directions}), NAMED)}."
        )
    return Measure(name=metric, minimized=name in MINIMIZED or name in LOSSES)


def recorded_by(report: StudyReport) -> list[str]:
    """Every metric by which the study's trials, or its winner on the test part, can be compared."""
    others = {"learning_rate", "gradient_norm", "objective", *EPOCH_COLUMNS} - set(LOSSES)
    found = [name for name in report.epochs if name not in others and not bool(np.isnan(report.epochs[name]).all())]
    return list(dict.fromkeys([report.objective, *found, *(f"{TEST}{name}" for name in report.test)]))


def replica_values(report: StudyReport, measure: Measure, trial: TrialRow) -> dict[int, float]:
    """The trial's finite values by replica (fold and repeat, from 0) at the epoch that counts; none where the metric
    was not recorded."""
    column = _column(report, measure)
    if column is None:
        return {}
    rows = report.epochs.of_trials([trial.number])
    rows = rows.at({trial.number: trial.best_epoch or max(rows["epoch"].tolist(), default=0)})
    pairs = zip(rows["replica"].tolist(), rows[column].tolist(), strict=True)
    return {int(replica): float(value) for replica, value in pairs if math.isfinite(value)}


def trial_values(report: StudyReport, measure: Measure) -> Mapping[int, float]:
    """The mean over replicas of each finished trial by its number, where the metric was recorded. The objective is the
    trial's value, smoothed as the study asks."""
    finished = report.best_first
    if measure.is_objective_of(report):
        return {trial.number: trial.value for trial in finished if trial.value is not None}
    column = _column(report, measure)
    if column is None:
        return {}
    at = {trial.number: trial.best_epoch or trial.epochs for trial in finished}
    means = {number: found[column][0] for number, (_, found) in report.epochs.at(at).means([column]).items()}
    return {number: value for number, value in means.items() if math.isfinite(value)}


def _column(report: StudyReport, measure: Measure) -> str | None:
    if measure.is_objective_of(report):
        return "objective"
    names = report.epochs
    if measure.name == "loss" and "loss" not in names:
        return "valid_loss"
    return measure.name if measure.name in names else None
