"""Samplers by name. Each trial gets a sampler of its own, seeded from (study seed, trial number).

So what a trial draws depends on its number and on what the search knows, never on how many draws were made before,
by which process, or whether the study was continued in between.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from typing import Any

import optuna
from optuna.samplers import (
    BaseSampler,
    BruteForceSampler,
    CmaEsSampler,
    GPSampler,
    QMCSampler,
    RandomSampler,
    TPESampler,
)

from hpo.spec.file import StudySpec


def seed_of(study_seed: int, trial: int) -> int:
    """A 32-bit seed for one trial's draws."""
    digest = hashlib.blake2b(f"sampler:{study_seed}:{trial}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "little")


def _tpe(record: Any, seed: int, spec: StudySpec, conditional: bool) -> BaseSampler:
    return TPESampler(seed=seed, n_startup_trials=record.startup_trials, group=conditional)


def _gp(record: Any, seed: int, spec: StudySpec, conditional: bool) -> BaseSampler:
    return GPSampler(
        seed=seed,
        n_startup_trials=record.startup_trials,
        independent_sampler=RandomSampler(seed),
        warn_independent_sampling=False,
    )


def _cmaes(record: Any, seed: int, spec: StudySpec, conditional: bool) -> BaseSampler:
    return CmaEsSampler(
        seed=seed,
        n_startup_trials=record.startup_trials,
        independent_sampler=RandomSampler(seed),
        warn_independent_sampling=False,
    )


def _qmc(record: Any, seed: int, spec: StudySpec, conditional: bool) -> BaseSampler:
    # The sequence's own scrambling must be the same for all trials; only what lies outside it is drawn per trial.
    return QMCSampler(
        seed=spec.study.seed,
        scramble=True,
        independent_sampler=RandomSampler(seed),
        warn_independent_sampling=False,
        warn_asynchronous_seeding=False,
    )


def _random(record: Any, seed: int, spec: StudySpec, conditional: bool) -> BaseSampler:
    return RandomSampler(seed)


def _grid(record: Any, seed: int, spec: StudySpec, conditional: bool) -> BaseSampler:
    return BruteForceSampler(seed=seed)


SAMPLERS: dict[str, Callable[[Any, int, StudySpec, bool], BaseSampler]] = {
    "tpe": _tpe,
    "gp": _gp,
    "cmaes": _cmaes,
    "qmc": _qmc,
    "random": _random,
    "grid": _grid,
}


def sampler_for(spec: StudySpec, trial: int, *, conditional: bool) -> BaseSampler:
    """The sampler that draws one trial; `conditional` tells whether some parameters exist only in some trials."""
    record = spec.search.sampler
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return SAMPLERS[record.name](record, seed_of(spec.study.seed, trial), spec, conditional)
