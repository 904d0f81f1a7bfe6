"""`[search]`: samplers, pruners and budgets."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import Field

from hpo.studyfile.records.base import NAME_PATTERN, Count, Positive, Record, WholeNumber

RUNGS_BELOW = 2
"""Rungs below the last epoch where the study does not say from which epoch on trials may be compared."""

EARLY = 6
"""All trials train for one epoch in so many where a study with waves does not say for how many."""


class Tpe(Record):
    """Tree-structured Parzen estimator (Bergstra et al. 2011)."""

    name: Literal["tpe"] = "tpe"
    startup_trials: WholeNumber = 10
    """Trials drawn at random before the model is used."""


class Gp(Record):
    """Gaussian process over the order of trials, with expected improvement; the trials of an ask are drawn together."""

    name: Literal["gp"] = "gp"
    startup_trials: WholeNumber = 10
    """Trials drawn at random before the model is used."""


class Cmaes(Record):
    """Covariance matrix adaptation evolution strategy; categorical parameters are drawn at random."""

    name: Literal["cmaes"] = "cmaes"
    startup_trials: WholeNumber = 1
    """Trials drawn at random before the model is used."""


class Qmc(Record):
    """Scrambled Sobol sequence; conditional parameters are drawn at random."""

    name: Literal["qmc"] = "qmc"


class RandomSearch(Record):
    """Independent uniform draws."""

    name: Literal["random"] = "random"


class Nsga2(Record):
    """Genetic algorithm with non-dominated sorting (Deb et al. 2002), for several objectives; parameters that only some
    trials have are drawn at random."""

    name: Literal["nsga2"] = "nsga2"
    population: Annotated[int, Field(ge=2, le=10_000)] = 50
    """Trials of a generation. The first ones are drawn at random."""


class Grid(Record):
    """Every combination of the choices; every range needs a step."""

    name: Literal["grid"] = "grid"


class Promotion(Record):
    """Trials pause at rungs and the best go on, also those that had paused (after Li et al. 2020)."""

    name: Literal["promotion"] = "promotion"
    min_epochs: Count | None = None
    """Epochs every trial gets. Absent: a ninth of the trial's epochs."""
    reduction_factor: Annotated[int, Field(ge=2, le=1_000_000_000)] = 3
    """One trial in this many goes on from a rung to the next."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Epochs at which trials of `epochs` epochs are compared, ascending: `epochs` divided by powers of the factor,
        rounded up, from `min_epochs` on. The last one is `epochs`."""
        found = [epochs]
        while found[-1] > 1 and (self.min_epochs is not None or len(found) <= RUNGS_BELOW):
            below = math.ceil(epochs / self.reduction_factor ** len(found))
            if below == found[-1] or below < (self.min_epochs or 1):
                break
            found.append(below)
        return tuple(reversed(found))


class Upwards(Record):
    """Rungs that are counted from the first epoch on."""

    min_epochs: Count = 1
    """Epochs every trial gets: the first rung. Each of the next ones has `reduction_factor` times as many epochs."""
    reduction_factor: Annotated[int, Field(ge=2, le=1_000_000_000)] = 3
    """One trial in this many goes on from a rung to the next."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Epochs at which trials of `epochs` epochs are compared, ascending. The last one is `epochs`."""
        found = []
        rung = self.min_epochs
        while rung < epochs:
            found.append(rung)
            rung *= self.reduction_factor
        return (*found, epochs)


class Asha(Upwards):
    """Asynchronous successive halving (ASHA): promotion with rungs from `min_epochs` upwards (Li et al. 2018,
    arXiv:1810.05934)."""

    name: Literal["asha"] = "asha"
    reduction_factor: Annotated[int, Field(ge=2, le=1_000_000_000)] = 4
    """One trial in this many goes on from a rung to the next."""


class Pasha(Upwards):
    """Progressive ASHA (PASHA): the next rung is opened once the two highest rungs rank trials differently; at the end
    the best trial goes on to its last epoch (Bohdal et al. 2022, arXiv:2207.06940)."""

    name: Literal["pasha"] = "pasha"


class ConstantEpochs(Record):
    """Trials come in waves: all of a wave train for the same number of epochs, then the best of it to the end."""

    name: Literal["constant"] = "constant"
    min_epochs: Count | None = None
    """Epochs every trial gets. Absent: a sixth of the trial's epochs."""
    wave: Annotated[int, Field(ge=2, le=1_000_000)] = 16
    """Trials that are compared with each other."""
    best: Count = 2
    """How many of a wave go on to the end."""

    def rungs(self, epochs: int) -> tuple[int, ...]:
        """Epochs at which trials of `epochs` epochs are compared, ascending. The last one is `epochs`."""
        first = self.min_epochs or math.ceil(epochs / EARLY)
        return (first, epochs) if first < epochs else (epochs,)


class Hyperband(Record):
    """Several successive-halving brackets (Li et al. 2018)."""

    name: Literal["hyperband"] = "hyperband"
    min_epochs: Count = 1
    """Epochs every trial gets."""
    reduction_factor: Annotated[int, Field(ge=2, le=1_000_000_000)] = 3
    """One trial in this many survives a rung."""


class SuccessiveHalving(Record):
    """Asynchronous successive halving (Li et al. 2020)."""

    name: Literal["successive_halving"] = "successive_halving"
    min_epochs: Count = 1
    """Epochs every trial gets."""
    reduction_factor: Annotated[int, Field(ge=2, le=1_000_000_000)] = 4
    """One trial in this many survives a rung."""


class Median(Record):
    """Stop a trial that is worse than the median of finished trials at the same epoch: by its best value so far, or by
    its last value if `study.epoch` is `last`."""

    name: Literal["median"] = "median"
    startup_trials: WholeNumber = 5
    """Trials that must finish before any is pruned."""
    warmup_epochs: WholeNumber = 0
    """Epochs every trial gets."""


class Percentile(Record):
    """Keep the best percentile of trials at the same epoch: by their best value so far, or by their last value if
    `study.epoch` is `last`."""

    name: Literal["percentile"] = "percentile"
    percentile: Annotated[float, Field(ge=0.0, le=100.0)] = 25.0
    """Share to keep, in per cent."""
    startup_trials: WholeNumber = 5
    """Trials that must finish before any is pruned."""
    warmup_epochs: WholeNumber = 0
    """Epochs every trial gets."""


class Threshold(Record):
    """Stop a trial whose objective leaves fixed bounds."""

    name: Literal["threshold"] = "threshold"
    lower: float | None = None
    """Prune below this objective."""
    upper: float | None = None
    """Prune above this objective."""
    warmup_epochs: WholeNumber = 0
    """Epochs every trial gets."""


class NoPruner(Record):
    """Every trial trains to its last epoch."""

    name: Literal["none"] = "none"


class Auto(Record):
    """Chooses `grid`, `gp` or `tpe` by space, trials and concurrency; see docs/search.md."""

    name: Literal["auto"] = "auto"


Sampler = Annotated[Tpe | Gp | Cmaes | Nsga2 | Qmc | RandomSearch | Grid | Auto, Field(discriminator="name")]
Pruner = Annotated[
    Promotion
    | Asha
    | Pasha
    | ConstantEpochs
    | Hyperband
    | SuccessiveHalving
    | Median
    | Percentile
    | Threshold
    | NoPruner,
    Field(discriminator="name"),
]


Starts = Annotated[tuple[dict[str, Any], ...], Field(strict=False, max_length=1000)]
StudyNames = Annotated[tuple[Annotated[str, Field(pattern=NAME_PATTERN)], ...], Field(strict=False, max_length=100)]


class SearchTable(Record):
    """How the space is searched. `sampler = "tpe"` is short for `sampler = { name = "tpe" }`; pruner too."""

    trials: Annotated[int, Field(ge=1, le=1_000_000)] = 50
    """Budget of trials: how many end (finished, pruned or failed)."""
    epochs: Count | None = None
    """Budget of epochs over all trials; when it is spent, the trials in flight end. Absent: none."""
    wall_seconds: Positive | None = None
    """Budget of wall time in seconds, over all restarts. Absent: none."""
    cpu_seconds: Positive | None = None
    """Budget of processor seconds, over all processes and restarts. Absent: none."""
    concurrency: Annotated[int, Field(ge=1, le=4096)] | None = None
    """Trials in flight (default: a fifth of the file's `trials` for a sampler that learns from results, at most 8; 16
    for others). It is part of the study, not of the machine, because it decides which results the sampler knows when it
    proposes a trial."""
    confirm: Annotated[float, Field(ge=0.0, le=100.0)] | None = None
    """After the search, the leading configurations and the default one are trained again with new seeds, for this share
    of the epochs that the search trained, and the winner is the one with the best mean; see docs/confirmation.md. 0:
    never. Absent: 0.1. Eight trainings are paid for in any case, if they are at most a third of these epochs."""
    pace: Literal["own", "lockstep"] | None = None
    """How trials in flight advance. `lockstep`: epoch by epoch together, so that a study gives the same table each time
    that it is run. `own`: each as fast as it can. Absent: `own` for a training function of your own, whose trials may
    differ in length, and else `lockstep`, the only way."""
    default_first: bool = True
    """Whether trial 0 of a new study has the default configuration: each searched parameter at the value that it has
    where a study file does not give it, if the study searches that value, else at its first option or in the middle of
    its range."""
    start: Starts = ()
    """Configurations to try next, in this order, as tables of some or all searched parameters, e.g.
    [{ "optimizer.learning_rate" = 0.1, "norm.kind" = "batch" }]. The sampler draws what they leave out."""
    warm_start: StudyNames = ()
    """Names of studies of the same database whose best configurations are tried next: of each the best five that differ
    and that this study may draw, the best of each study first. They are read when the study begins."""
    known_starts: bool = False
    """Whether up to 4 configurations that do well on data of many kinds are tried after the other starts, one for each
    10 trials. Only where the sampler learns from results, and the learning rate of adam, adamw, nadam, radam, or of sgd
    with a momentum of 0.8 or more, is searched."""
    sampler: Sampler = Tpe()
    """Proposes the next trials."""
    pruner: Pruner = Promotion()
    """Ends or pauses unpromising trials early. Where it is absent, `median` for a training function of your own, and
    `none` in a study with several objectives, of which pruners see the first alone."""
