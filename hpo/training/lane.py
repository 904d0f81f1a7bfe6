"""A lane: one training run in a program, and the results of an epoch of it. The steps of an epoch are in `epoch`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from hpo import models
from hpo.attributes import lengths
from hpo.errors import InputError
from hpo.models.named_inputs import at_hand
from hpo.optim import schedules
from hpo.seeds import drawn_as, lane_seed
from hpo.studyfile.records import BatchNorm, TrialConfig
from hpo.training import randomness
from hpo.training.batches import Examples, LanePart
from hpo.training.layers.piecewise import fit


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """One training run: a trial, or one fold or repeat of it."""

    trial: int
    """Trial number."""
    replica: int
    """Number of the fold or repeat, counted from 0."""
    config: TrialConfig
    module: nn.Sequential
    """The plain module: gives the structure. Training does not read its parameters after the start."""
    examples: Examples
    """What its trial trains and is validated on; the study's, unless each trial has a split of its own."""
    epoch: int = 0
    """Epochs trained."""
    plateau: schedules.Plateau = field(default_factory=schedules.Plateau)
    """State of reduce_on_plateau."""
    update_ratios: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """How large updates were beside the weights, see `hpo.training.diagnosis.updates`."""
    former: lengths.Former = ()
    """Earlier lengths of the training, if it began when trials had fewer epochs."""

    @property
    def part(self) -> LanePart:
        return self.examples, self.examples.part[self.replica]

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """Examples in each step of an epoch."""
        return self.examples.batch_sizes(self.replica, self.config.training)


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneEpoch:
    """The results of one epoch of one lane."""

    trial: int
    replica: int
    epoch: int
    """Counted from 1."""
    train_loss: float
    """Mean over the examples of the epoch's batches, without penalties."""
    learning_rate: float
    """At the epoch's last step."""
    gradient_norm: float
    """Mean over steps, penalties included, before clipping."""
    seconds: float
    """The lane's share of the time."""
    metrics: dict[str, float]
    """Metrics of the validation part, by name."""

    @property
    def diverged(self) -> bool:
        numbers = (self.train_loss, self.gradient_norm, self.metrics["loss"])
        return not all(math.isfinite(number) for number in numbers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """The settings that all cohorts of a study share."""

    examples: Examples
    seed: int
    metrics: tuple[str, ...]
    """Names of the metrics computed every epoch."""
    dtype: torch.dtype = torch.float32
    compiled_lanes: int | None = None
    """Number of lanes of compiled programs; equal to eager ones up to the order of additions. None: all are eager."""
    of_trial: Callable[[int], Examples] | None = None
    """The examples of the trial of a number, where each has a split of its own."""


def new_lane(setting: Setting, trial: int, replica: int, config: TrialConfig, former: lengths.Former = ()) -> Lane:
    """Builds and initialises a lane's module from its own random numbers."""
    drawn = drawn_as(trial)
    examples = setting.examples if setting.of_trial is None else setting.of_trial(drawn)
    if isinstance(config.norm, BatchNorm):
        _check_batches(examples.batch_sizes(replica, config.training))
    numbers = setting.seed, drawn, replica
    seed = lane_seed("init", *numbers)
    with at_hand(setting.examples.some):
        module = models.build(config, setting.examples.signature, setting.examples.outputs, seed)
    models.initialize(module, config, randomness.generator("init", *numbers))
    fit(module, examples, examples.part[replica])
    return Lane(trial=trial, replica=replica, config=config, module=module, examples=examples, former=former)


def _check_batches(sizes: Sequence[int]) -> None:
    if sizes[0] == 1:
        raise InputError("batch normalisation needs batches of at least 2 examples; raise training.batch_size")
    if sizes[-1] == 1:
        raise InputError(
            f"batch normalisation needs batches of at least 2 examples, but the {sum(sizes)} training examples make "
            f'batches of {sizes[0]} and a last one of 1; change training.batch_size, or take last_batch = "drop"'
        )
