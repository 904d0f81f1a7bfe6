"""Pruners by name. They decide as Optuna's do, except that the last value can count; a step is an epoch, from 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.pruners import BasePruner, NopPruner, ThresholdPruner

from hpo.conventions import LAST_VALUE_COUNTS
from hpo.search.pruning.optunas import CachedHalving, CachedHyperband, CachedPercentile
from hpo.studyfile.file import StudySpec


def _hyperband(record: Any, spec: StudySpec, epochs: int) -> BasePruner:
    return CachedHyperband(
        min_resource=record.min_epochs, max_resource=epochs, reduction_factor=record.reduction_factor
    )


def _successive_halving(record: Any, spec: StudySpec, epochs: int) -> BasePruner:
    return CachedHalving(min_resource=record.min_epochs, reduction_factor=record.reduction_factor)


def _median(record: Any, spec: StudySpec, epochs: int) -> BasePruner:
    return _percentile_of(50.0, record, spec)


def _percentile(record: Any, spec: StudySpec, epochs: int) -> BasePruner:
    return _percentile_of(record.percentile, record, spec)


def _percentile_of(percentile: float, record: Any, spec: StudySpec) -> BasePruner:
    last = spec.study.epoch == "last" and spec.conventions >= LAST_VALUE_COUNTS
    warmup = record.warmup_epochs
    return CachedPercentile(percentile, startup_trials=record.startup_trials, warmup_steps=warmup, last=last)


def _threshold(record: Any, spec: StudySpec, epochs: int) -> BasePruner:
    return ThresholdPruner(lower=record.lower, upper=record.upper, n_warmup_steps=record.warmup_epochs)


def _none(record: Any, spec: StudySpec, epochs: int) -> BasePruner:
    return NopPruner()


PRUNERS: dict[str, Callable[[Any, StudySpec, int], BasePruner]] = {
    "hyperband": _hyperband,
    "successive_halving": _successive_halving,
    "median": _median,
    "percentile": _percentile,
    "threshold": _threshold,
    "promotion": _none,  # trials pause, see `hpo.search.pruning.promotion`
    "none": _none,
}


def pruner_for(spec: StudySpec, epochs: int) -> BasePruner:
    """The study's pruner; `epochs` is the longest a trial trains."""
    return PRUNERS[spec.pruner.name](spec.pruner, spec, epochs)
