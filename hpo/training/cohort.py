"""A cohort: lanes that train in one program, epoch by epoch. Lanes join and leave between epochs.

All that training changes is a handful of tensors with one row a lane (`state`), so taking a lane out, putting one in,
saving and restoring are row operations. What to train and when to stop is decided elsewhere.

Dimensions: K lanes, S steps an epoch, B examples a batch, P parameters, Q running averages.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor, nn

from hpo import lengths, models
from hpo.errors import InputError
from hpo.optim import rules, schedules
from hpo.spec.records import BatchNorm, TrialConfig
from hpo.training import compiled, metrics, randomness, step
from hpo.training import layout as lay
from hpo.training.architecture import Architecture
from hpo.training.batches import Examples
from hpo.training.program import Program, structure
from hpo.training.step import Numbers

CHANGING = ("theta", "stats", "m", "v")
"""State that an epoch changes; the rest are the rows of each lane's best epoch."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """One training run: a trial, or one fold or repeat of it."""

    trial: int
    """Trial number."""
    replica: int
    """Which fold and repeat, counted from 0."""
    config: TrialConfig
    module: nn.Sequential
    """The plain module: tells the structure; its own parameters are only the initial ones."""
    epoch: int = 0
    """Epochs trained."""
    plateau: schedules.Plateau = field(default_factory=schedules.Plateau)
    """State of reduce_on_plateau."""
    former: lengths.Former = ()
    """How long the training was to be, as far as it began when trials had fewer epochs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LaneEpoch:
    """What one epoch of one lane gave."""

    trial: int
    replica: int
    epoch: int
    """Counted from 1."""
    train_loss: float
    """Mean over the epoch's batches, without penalties."""
    learning_rate: float
    """At the epoch's last step."""
    gradient_norm: float
    """Mean over steps, penalties included, before clipping."""
    seconds: float
    """The lane's share of the time."""
    metrics: dict[str, float]
    """Of the validation part."""

    @property
    def diverged(self) -> bool:
        numbers = (self.train_loss, self.gradient_norm, self.metrics["loss"])
        return not all(math.isfinite(number) for number in numbers)


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """What all cohorts of a study share."""

    examples: Examples
    seed: int
    metrics: tuple[str, ...]
    """Names of the metrics computed every epoch."""
    dtype: torch.dtype = torch.float32
    compiled_lanes: int | None = None
    """Cohorts of this many lanes take the compiled step: faster after some seconds of compiling for each number of
    lanes, and equal up to the order of additions. None: all are eager."""


def new_lane(setting: Setting, trial: int, replica: int, config: TrialConfig, former: lengths.Former = ()) -> Lane:
    """Builds and initialises a lane's module from its own random numbers."""
    if isinstance(config.norm, BatchNorm) and setting.examples.batch_size(config.training.batch_size) == 1:
        raise InputError("batch normalisation needs batches of at least 2 examples; raise training.batch_size")
    numbers = setting.seed, trial, replica
    seed = randomness.key("init", *numbers)
    module = models.build(config, setting.examples.input_shape, setting.examples.outputs, seed)
    models.initialize(module, config, randomness.generator("init", *numbers))
    return Lane(trial=trial, replica=replica, config=config, module=module, former=former)


class Cohort:
    """Lanes of one architecture and batch size, sorted by structure."""

    def __init__(
        self, setting: Setting, architecture: Architecture, lanes: Sequence[Lane], state: dict[str, Tensor]
    ) -> None:
        self.setting = setting
        self.architecture = architecture
        order = sorted(range(len(lanes)), key=lambda i: structure(lanes[i].module))
        self.lanes = [lanes[i] for i in order]
        index = torch.tensor(order, dtype=torch.long, device=setting.examples.device)
        self.state = {name: value[index] for name, value in state.items()}
        self.name: str | None = None
        """Of its program, once it has been asked for."""
        self._program: Program | None = None
        self._twin: Program | None = None
        """The program that is compiled."""

    @classmethod
    def start(cls, setting: Setting, architecture: Architecture, lanes: Sequence[Lane]) -> Cohort:
        """New lanes, from their modules' initial parameters."""
        rows = [architecture.layout.row(lane.module) for lane in lanes]
        device, dtype = setting.examples.device, setting.dtype
        theta = torch.stack([r[0] for r in rows]).to(device, dtype)
        stats = torch.stack([r[1] for r in rows]).to(device, dtype)
        accumulator = [[rules.coefficients(lane.config.optimizer).initial_v] for lane in lanes]
        state = {
            "theta": theta,
            "stats": stats,
            "m": torch.zeros_like(theta),
            "v": torch.zeros_like(theta) + torch.tensor(accumulator, device=device, dtype=dtype),
            "best_theta": theta.clone(),
            "best_stats": stats.clone(),
        }
        return cls(setting, architecture, lanes, state)

    def take(self, chosen: Sequence[int]) -> Cohort:
        """A cohort of the lanes at these positions."""
        index = torch.tensor(list(chosen), dtype=torch.long, device=self.setting.examples.device)
        state = {name: value[index] for name, value in self.state.items()}
        return Cohort(self.setting, self.architecture, [self.lanes[i] for i in chosen], state)

    def join(self, other: Cohort) -> Cohort:
        """A cohort of both's lanes."""
        assert self.layout == other.layout, "rows in another order"
        state = {name: torch.cat([value, other.state[name]]) for name, value in self.state.items()}
        return Cohort(self.setting, self.architecture, [*self.lanes, *other.lanes], state)

    def without(self, trials: set[int]) -> Cohort:
        """A cohort without the lanes of these trials."""
        return self.take([i for i, lane in enumerate(self.lanes) if lane.trial not in trials])

    def keep_best(self, trials: set[int]) -> None:
        """Remembers the present parameters as the best of these trials."""
        rows = [i for i, lane in enumerate(self.lanes) if lane.trial in trials]
        self.state["best_theta"][rows] = self.state["theta"][rows]
        self.state["best_stats"][rows] = self.state["stats"][rows]

    @property
    def layout(self) -> lay.Layout:
        return self.architecture.layout

    @property
    def program(self) -> Program:
        if self._program is None:
            self._program = self._program_of(self.lanes)
        return self._program

    def _program_of(self, lanes: Sequence[Lane], witnesses: Sequence[nn.Sequential] | None = None) -> Program:
        examples = self.setting.examples
        return Program(
            [lane.module for lane in lanes],
            self.layout,
            examples.input_shape,
            examples.outputs,
            device=examples.device,
            dtype=self.setting.dtype,
            witnesses=witnesses,
        )

    def epoch(self) -> list[LaneEpoch]:
        """Trains every lane for one epoch and scores it on its validation part.

        If anything fails in between, the state is as before.
        """
        before, lanes = {name: self.state[name].clone() for name in CHANGING}, self.lanes
        try:
            return self._epoch()
        except BaseException:
            self.state.update(before)
            self.lanes = lanes
            raise

    @torch.inference_mode()
    def _epoch(self) -> list[LaneEpoch]:
        started = time.perf_counter()
        setting = self.setting
        lanes, state, program = self._native() or (self.lanes, self.state, self.program)
        examples, device = setting.examples, setting.examples.device
        batch_size = lanes[0].config.training.batch_size
        steps = examples.steps(batch_size)
        order_SKB = torch.stack(
            [examples.order(setting.seed, ln.trial, ln.replica, ln.epoch + 1, batch_size) for ln in lanes],
            dim=1,
        ).to(device)
        keys_SK = randomness.step_keys(
            [randomness.key("dropout", setting.seed, ln.trial, ln.replica, ln.epoch + 1) for ln in lanes],
            steps,
        ).to(device)
        rates_KS = np.stack([self._rates(lane, steps) for lane in lanes])
        witnesses = () if program is self.program else self.architecture.configs
        numbers = Numbers.of([lane.config for lane in lanes], self.layout, device, setting.dtype, witnesses)
        course = step.Course(
            optimizers=tuple(lane.config.optimizer for lane in lanes),
            rate_SK=rates_KS.T,
            done=tuple(lane.epoch * steps for lane in lanes),
        )
        advance = (step.plain if program is self.program else compiled.native)(program, state, numbers, course)
        losses_SK, norms_SK = (torch.empty(steps, len(lanes), device=device, dtype=setting.dtype) for _ in range(2))
        batch = order_SKB.shape[2]
        portion = program.portion(len(lanes), batch)
        for begin in range(0, steps, portion):
            rows = order_SKB[begin : begin + portion]
            x, y = (of.index_select(0, rows.flatten()) for of in (examples.x_train, examples.y_train))
            x, y = x.view(*rows.shape, *x.shape[1:]), y.view(rows.shape)
            masks = program.masks(keys_SK[begin : begin + portion], batch)
            for i in range(len(rows)):
                drops = {name: mask[i] for name, mask in masks.items()}
                losses_SK[begin + i], norms_SK[begin + i] = advance(begin + i, x[i], y[i], drops)
        if state is not self.state:
            for name in CHANGING:
                self.state[name] = state[name][: len(self.lanes)].clone()
        lanes = self.lanes  # without those that only made up the number
        # In the order of the steps, where a sum would add in an order that depends on the number of lanes.
        loss_K, norm_K = (each[:, : len(lanes)].cumsum(0, dtype=torch.float64)[-1] for each in (losses_SK, norms_SK))
        scores = self._score()
        seconds = (time.perf_counter() - started) / len(lanes)
        results = [
            LaneEpoch(
                trial=lane.trial,
                replica=lane.replica,
                epoch=lane.epoch + 1,
                train_loss=train_loss / steps,
                learning_rate=float(rates_KS[i, -1]),
                gradient_norm=norm / steps,
                seconds=seconds,
                metrics={name: values[i] for name, values in scores.items()},
            )
            for i, (lane, train_loss, norm) in enumerate(zip(lanes, loss_K.tolist(), norm_K.tolist(), strict=True))
        ]
        self.lanes = [
            replace(
                lane,
                epoch=lane.epoch + 1,
                plateau=schedules.advance(lane.config.schedule, lane.plateau, result.metrics["loss"]),
            )
            for lane, result in zip(lanes, results, strict=True)
        ]
        return results

    def _native(self) -> tuple[list[Lane], dict[str, Tensor], Program] | None:
        """Lanes, state and program for the compiled step, which takes one number of lanes: the last one is repeated
        to make it up. None where the step is not to be compiled, or too few lanes are left for it to pay."""
        wanted, have = self.setting.compiled_lanes, len(self.lanes)
        if wanted is None or not wanted < 2 * have <= 2 * wanted:
            return None
        lanes = self.lanes + self.lanes[-1:] * (wanted - have)
        if self._twin is None:
            self._twin = self._program_of(lanes, self.architecture.modules)
        if not self._twin.compiles:
            return None
        repeated = torch.tensor([*range(have), *[have - 1] * (wanted - have)], device=self.setting.examples.device)
        return lanes, {name: self.state[name][repeated] for name in CHANGING}, self._twin

    def _rates(self, lane: Lane, steps: int) -> np.ndarray:
        config = lane.config
        return schedules.rates(
            config.schedule,
            config.optimizer.learning_rate,
            lane.epoch,
            lengths.length_at(lane.former, lane.epoch, config.training.epochs),
            steps,
            lane.plateau.factor,
        )

    def _score(self) -> dict[str, list[float]]:
        examples = self.setting.examples
        parts = examples.parts_of([lane.replica for lane in self.lanes])
        outputs = self.program.outputs(self.state["theta"], self.state["stats"], examples.x_valid[parts])
        shape = outputs.shape[:2]
        outcome = metrics.Outcome(
            outputs_KVC=outputs,
            target_KV=examples.y_valid[parts].expand(shape),
            valid_KV=examples.real[parts].expand(shape),
            scale_K=examples.target_scale[parts].expand(shape[0]),
        )
        return metrics.score(outcome, self.setting.metrics)
