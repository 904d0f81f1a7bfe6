"""Samplers by name: our TPE, which draws the trials of an ask together, and Optuna's, one sampler and seed per
trial."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    NSGAIISampler,
    QMCSampler,
    RandomSampler,
)
from optuna.study import Study
from optuna.trial import FrozenTrial

from hpo import space
from hpo.conventions import OWN_PROCESS
from hpo.search import objective
from hpo.search.pruning.promotion import Promotion
from hpo.search.sampling.batch import AtOnce, OneByOne, Sampling
from hpo.search.sampling.bayesian import BayesianSampler
from hpo.search.sampling.tpe import TpeSampler
from hpo.seeds import sampler_seed
from hpo.studyfile.file import StudySpec


class _Nsga2(NSGAIISampler):
    """Optuna's, whose generations may lose trials: an edited study hides those that lie outside its ranges."""

    def get_parent_population(self, study: Study, generation: int) -> list[FrozenTrial]:
        found: list[FrozenTrial] = super().get_parent_population(study, generation)
        return found if len(found) > 1 else []  # too few to cross are drawn at random


def _gp_of_optuna(record: Any, seed: int, spec: StudySpec) -> BaseSampler:
    return GPSampler(
        seed=seed,
        n_startup_trials=record.startup_trials,
        independent_sampler=RandomSampler(seed),
        warn_independent_sampling=False,
    )


def _cmaes(record: Any, seed: int, spec: StudySpec) -> BaseSampler:
    return CmaEsSampler(
        seed=seed,
        n_startup_trials=record.startup_trials,
        independent_sampler=RandomSampler(seed),
        warn_independent_sampling=False,
    )


def _nsga2(record: Any, seed: int, spec: StudySpec) -> BaseSampler:
    return _Nsga2(population_size=record.population, seed=seed)


def _qmc(record: Any, seed: int, spec: StudySpec) -> BaseSampler:
    # The scrambling of the sequence must be the same for all trials; parameters outside it are drawn per trial.
    return QMCSampler(
        seed=spec.study.seed,
        scramble=True,
        independent_sampler=RandomSampler(seed),
        warn_independent_sampling=False,
        warn_asynchronous_seeding=False,
    )


def _random(record: Any, seed: int, spec: StudySpec) -> BaseSampler:
    return RandomSampler(seed)


def _grid(record: Any, seed: int, spec: StudySpec) -> BaseSampler:
    return BruteForceSampler(seed=seed)


def _tpe(spec: StudySpec, study: Study, promotion: Promotion | None) -> Sampling:
    groups: dict[str | None, dict[str, BaseDistribution]] = {}
    for parameter in space.parameters(spec):
        groups.setdefault(parameter.condition, {})[parameter.name] = parameter.distribution
    record: Any = spec.sampler
    if len(spec.study.objectives) > 1:  # the places of trials that pause are by the first objective alone
        tpe = TpeSampler(list(groups.values()), seed=spec.study.seed, several=spec.study.directions)
        return AtOnce(study, tpe, seed=spec.study.seed, startup_trials=record.startup_trials)
    maximize = objective.direction(spec.study) == "maximize"
    tpe = TpeSampler(list(groups.values()), seed=spec.study.seed, maximize=maximize)
    return AtOnce(study, tpe, seed=spec.study.seed, startup_trials=record.startup_trials, promotion=promotion)


def _gp(spec: StudySpec, study: Study, promotion: Promotion | None) -> Sampling:
    if spec.conventions < OWN_PROCESS:
        return _each(_gp_of_optuna)(spec, study, promotion)
    maximize = objective.direction(spec.study) == "maximize"
    process = BayesianSampler(space.parameters(spec), seed=spec.study.seed, maximize=maximize)
    record: Any = spec.sampler
    return AtOnce(study, process, seed=spec.study.seed, startup_trials=record.startup_trials, promotion=promotion)


Make = Callable[[StudySpec, Study, Promotion | None], Sampling]
"""Makes the sampling of a study."""


def _each(make: Callable[[Any, int, StudySpec], BaseSampler]) -> Make:
    """One of Optuna's samplers for each trial."""

    def sampling(spec: StudySpec, study: Study, promotion: Promotion | None) -> Sampling:
        def sampler_of(trial: int) -> BaseSampler:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return make(spec.sampler, sampler_seed(spec.study.seed, trial), spec)

        return OneByOne(study, sampler_of)

    return sampling


SAMPLERS: dict[str, Make] = {
    "tpe": _tpe,
    "gp": _gp,
    "cmaes": _each(_cmaes),
    "nsga2": _each(_nsga2),
    "qmc": _each(_qmc),
    "random": _each(_random),
    "grid": _each(_grid),
}


def sampling_for(spec: StudySpec, study: Study, promotion: Promotion | None = None) -> Sampling:
    """How the trials of a study are drawn; `study` is Optuna's, in the storage that holds them. `promotion`: by which
    trials that pause are compared; None where none pause."""
    return SAMPLERS[spec.sampler.name](spec, study, promotion)
