"""Pruners by name. Those of Optuna decide as there, except that the last value can count; a step is an epoch, from 1.
Those at whose rungs trials pause have a `Promotion` instead."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from optuna.pruners import BasePruner, NopPruner, ThresholdPruner
from optuna.trial import FrozenTrial

from hpo.conventions import LAST_VALUE_COUNTS
from hpo.endings import PAUSING
from hpo.search.pruning.optunas import CachedHalving, CachedHyperband, CachedPercentile
from hpo.search.pruning.progressive import Progressive
from hpo.search.pruning.promotion import Promotion, epochs_at_first, lengthened
from hpo.search.pruning.waves import Waves
from hpo.studyfile import records
from hpo.studyfile.study import StudySpec, trial_epochs


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
    "none": _none,
    **dict.fromkeys(PAUSING, _none),
}


def promotion_of(spec: StudySpec, trials: Sequence[FrozenTrial]) -> Promotion | None:
    """The promotion of a study with these trials, which it has read; None where no trials pause."""
    pruner, study, epochs = spec.pruner, spec.study, trial_epochs(spec)
    first = min(epochs, epochs_at_first(trials, epochs))
    levels = spec.levels
    promotion: Promotion
    match pruner:
        case records.Promotion(reduction_factor=factor) | records.Asha(reduction_factor=factor):
            rungs = lengthened(pruner.rungs(first), epochs, factor=factor)
            promotion = Promotion(study, rungs, factor=factor, levels=levels)
        case records.Pasha(reduction_factor=factor):
            rungs = lengthened(pruner.rungs(first), epochs, factor=factor)
            promotion = Progressive(study, rungs, factor=factor, levels=levels)
        case records.ConstantEpochs(wave=wave, best=best):
            rungs = (*pruner.rungs(first)[:-1], epochs)
            promotion = Waves(study, rungs, wave=wave, best=best, levels=levels)
        case _:
            return None
    promotion.read(trials)
    return promotion


def pruner_for(spec: StudySpec, epochs: int) -> BasePruner:
    """The study's pruner; `epochs` is the longest a trial trains."""
    return PRUNERS[spec.pruner.name](spec.pruner, spec, epochs)
