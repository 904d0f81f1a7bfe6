"""Values of a trial for the search, computed from its validation curve. Pure functions.

A curve is the list of intermediate values, epoch 1 first. Its values are rounded to 6 significant digits before the
sampler or pruner sees them, so that rounding errors of the training have no effect.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import Literal

from hpo.studyfile.records import EarlyStopping, StudyTable


def direction(study: StudyTable) -> Literal["minimize", "maximize"]:
    """Whether the objective is minimized or maximized."""
    return "minimize" if study.minimized else "maximize"


def better(study: StudyTable, value: float, than: float) -> bool:
    """Whether a value of the objective beats another one."""
    return value < than if study.minimized else value > than


def rounded(value: float) -> float:
    """The value with 6 significant digits."""
    return float(f"{value:.6g}")


def next_value(study: StudyTable, raw: float, curve: Sequence[float]) -> float:
    """The intermediate value of an epoch: rounded, and smoothed over the curve so far if the study says so. The newest
    epoch weighs 1 - smoothing."""
    if study.smoothing and curve:
        raw = (1 - study.smoothing) * raw + study.smoothing * curve[-1]
    return rounded(raw)


def best_epoch(study: StudyTable, curve: Sequence[float]) -> int:
    """The epoch (from 1) whose value counts as the trial's: the first best one, or the last."""
    if study.epoch == "last":
        return len(curve)
    best = 0
    for index, value in enumerate(curve):
        if better(study, value, curve[best]):
            best = index
    return best + 1


def trial_value(study: StudyTable, curve: Sequence[float]) -> float | None:
    """The trial's value; None without intermediate values."""
    return curve[best_epoch(study, curve) - 1] if curve else None


def level(curve: Sequence[float]) -> float:
    """The mean of the last third of a curve, of one value at least. The best of many values is the luckiest one; a mean
    says what the trial would score again."""
    last = curve[-math.ceil(len(curve) / 3) :]
    largest = max(map(abs, last)) or 1.0  # a sum of huge numbers may be beyond what a number can be
    return rounded(largest * fmean(value / largest for value in last))


def stops_early(study: StudyTable, rule: EarlyStopping | None, curve: Sequence[float]) -> bool:
    """Whether the curve has not improved by more than `minimum_improvement` for `patience` epochs."""
    if rule is None or not curve:
        return False
    sign = -1.0 if study.minimized else 1.0
    reference, waited = sign * curve[0], 0
    for value in curve[1:]:
        if sign * value > reference + rule.minimum_improvement:
            reference, waited = sign * value, 0
        else:
            waited += 1
    return waited >= rule.patience
