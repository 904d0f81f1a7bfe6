"""Pruners by name, deciding as Optuna's do; a step is an epoch, counted from 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna.pruners import BasePruner, NopPruner, ThresholdPruner

from hpo.search.pruning import Halving, Hyperband, Percentile
from hpo.spec.file import StudySpec


def _hyperband(record: Any, epochs: int) -> BasePruner:
    return Hyperband(min_resource=record.min_epochs, max_resource=epochs, reduction_factor=record.reduction_factor)


def _successive_halving(record: Any, epochs: int) -> BasePruner:
    return Halving(min_resource=record.min_epochs, reduction_factor=record.reduction_factor)


def _median(record: Any, epochs: int) -> BasePruner:
    return Percentile(50.0, startup_trials=record.startup_trials, warmup_steps=record.warmup_epochs)


def _percentile(record: Any, epochs: int) -> BasePruner:
    return Percentile(record.percentile, startup_trials=record.startup_trials, warmup_steps=record.warmup_epochs)


def _threshold(record: Any, epochs: int) -> BasePruner:
    return ThresholdPruner(lower=record.lower, upper=record.upper, n_warmup_steps=record.warmup_epochs)


def _none(record: Any, epochs: int) -> BasePruner:
    return NopPruner()


PRUNERS: dict[str, Callable[[Any, int], BasePruner]] = {
    "hyperband": _hyperband,
    "successive_halving": _successive_halving,
    "median": _median,
    "percentile": _percentile,
    "threshold": _threshold,
    "none": _none,
}


def pruner_for(spec: StudySpec, epochs: int) -> BasePruner:
    """The study's pruner; `epochs` is the longest a trial trains."""
    return PRUNERS[spec.search.pruner.name](spec.search.pruner, epochs)
