"""`[study]` and `[checkpoints]`: name, objective and seed of a study, and how many checkpoints are kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpo.studyfile.records.base import NAME_PATTERN, Count, Decay, Record

Metric = Literal["loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc", "rmse", "mae", "r2"]
MINIMIZED: frozenset[str] = frozenset({"loss", "rmse", "mae"})
"""Metrics where less is better; for all others more is better."""
REGRESSION_METRICS: frozenset[str] = frozenset({"loss", "rmse", "mae", "r2"})
CLASSIFICATION_METRICS: frozenset[str] = frozenset({"loss", "accuracy", "balanced_accuracy", "macro_f1", "auroc"})


class StudyTable(Record):
    """Name, objective and seed."""

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    """Name of the study in the database and of its report folder."""
    objective: Metric = "accuracy"
    """Metric of the validation part that the search optimises; its direction follows from the metric. `loss` is cross
    entropy in nats, or the mean squared error of the standardised target (in units of the target's variance in the
    training part); `rmse` and `mae` are in the target's own unit. Of trials with equal values, the one with the lower
    validation loss at the epoch that counts is better."""
    epoch: Literal["best", "last"] = "best"
    """Whether a trial's value is its best epoch's objective or its last epoch's. The pruners median and percentile
    judge running trials by the same one."""
    smoothing: Decay = 0.0
    """Smoothing of the objective over epochs, so that one lucky epoch does not win: the exponential average
    s[t] = a*x[t] + (1-a)*s[t-1], in which the newest epoch weighs a = 1 - smoothing; 0 takes the raw curve. The
    report's control of the same name smooths its curves by the same rule."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of all random numbers of the study."""
    baselines: bool = True
    """Whether simple models from scikit-learn are fitted on the same parts once the trials have ended, to be shown
    beside the winner: the most frequent class, or the mean or median; a linear model, for texts on TF-IDF; and gradient
    boosting. May be changed at any time."""


class CheckpointsTable(Record):
    """Checkpoints that are kept after the study."""

    keep: Count = 3
    """Best trials whose weights are kept."""
