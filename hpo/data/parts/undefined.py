"""Parts of the data on which a metric is undefined because of their targets. Numpy only.

`hpo.training.metrics`, which computes the metrics, returns NaN for the same parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from hpo.data.dataset import Dataset
from hpo.data.parts.splits import Splits
from hpo.data.prepare import PreparedData, TargetArray
from hpo.data.preprocessing.apply import apply_target


def _constant(target_N: TargetArray) -> str | None:
    if len(target_N) == 1:
        return "it has one example, and the share of a variance needs several"
    return "all its targets are equal, and there is no variance to explain" if np.ptp(target_N) == 0 else None


def _one_class(target_N: TargetArray) -> str | None:
    return "all its examples are of one class, and there is none to tell it from" if np.ptp(target_N) == 0 else None


REASONS: dict[str, Callable[[TargetArray], str | None]] = {
    "r2": _constant,
    "f1": _one_class,
    "auroc": _one_class,
    "average_precision": _one_class,
}
"""Metric -> function that says why it is undefined for these targets, or None. Other metrics are always defined."""


TEST = "the test part"


def why_undefined(metric: str, target_N: TargetArray) -> str | None:
    """Why the metric has no value on a part with these targets; None if it has one."""
    return REASONS[metric](target_N) if metric in REASONS else None


def gaps(metric: str, dataset: Dataset, splits: Splits, prepared: PreparedData) -> Iterator[tuple[str, str]]:
    """(part, reason) pairs of the parts on which the metric is undefined, with targets preprocessed as for training:
    validation parts first, then the test part."""
    folds = max(replica.fold for replica in prepared.replicas)
    first = [replica for replica in prepared.replicas if replica.repeat == 0]
    for replica in first:
        if reason := why_undefined(metric, replica.y_valid):
            yield f"the validation part of fold {replica.fold + 1}" if folds else "the validation part", reason
    if len(splits.test_idx):
        targets = (apply_target(replica.preprocessing, dataset, splits.test_idx) for replica in first)
        if reason := next(filter(None, (why_undefined(metric, target) for target in targets)), None):
            yield TEST, reason
