"""A cohort: lanes that train in one program, epoch by epoch. Lanes join and leave between epochs.

Everything that training changes is in a few tensors with one row for each lane (`state`), so removing, adding, saving
and restoring lanes are operations on rows. Which trials train, and when they end, is decided by the caller.

Dimensions: K lanes, S steps, P parameters, Q running averages.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from hpo.optim import rules, schedules
from hpo.training import compiled, metrics, step
from hpo.training import layout as lay
from hpo.training.architecture import Architecture
from hpo.training.epoch import LaneSteps, Stretch, stretches, train
from hpo.training.lane import Lane, LaneEpoch, Setting
from hpo.training.program import Program, structure
from hpo.training.step import Numbers

CHANGING = ("theta", "stats", "m", "v")
"""State that an epoch changes; the rest are the rows of each lane's best epoch."""


class Cohort:
    """Lanes with one key (see `architecture.key_of`), sorted by structure."""

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
        """Name of its program in `Limits`; None until it is first used."""
        self._program: Program | None = None
        self._compiled_program: Program | None = None
        """The program with the fixed number of lanes that is compiled."""

    @classmethod
    def start(cls, setting: Setting, architecture: Architecture, lanes: Sequence[Lane]) -> Cohort:
        """A cohort of new lanes, with their modules' initial parameters."""
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
        """A cohort of the lanes of both."""
        assert self.layout == other.layout, "rows in another order"
        state = {name: torch.cat([value, other.state[name]]) for name, value in self.state.items()}
        return Cohort(self.setting, self.architecture, [*self.lanes, *other.lanes], state)

    def without(self, trials: set[int]) -> Cohort:
        """A cohort without the lanes of these trials."""
        return self.take([i for i, lane in enumerate(self.lanes) if lane.trial not in trials])

    def keep_best(self, trials: set[int]) -> None:
        """Stores the present parameters of these trials as their best."""
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
            examples.signature,
            examples.outputs,
            device=examples.device,
            dtype=self.setting.dtype,
            witnesses=witnesses,
        )

    def epoch(self) -> list[LaneEpoch]:
        """Trains every lane for one epoch and scores it on its validation part.

        If that raises, the state is the same as before.
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
        plans = [LaneSteps.of(lane, setting) for lane in lanes]
        loss_K, norm_K = (torch.zeros(len(lanes), device=setting.examples.device, dtype=torch.float64) for _ in "LN")
        for stretch in stretches([plan.sizes for plan in plans]):
            losses_SK, norms_SK = self._train(stretch, plans, lanes, state, program)
            # `cumsum` adds in the order of the steps; `sum` would add in an order that depends on the number of lanes.
            places = list(stretch.lanes)
            weights = loss_K.new_tensor([stretch.batch / plans[place].sizes[0] for place in places])
            loss_K[places] += losses_SK.cumsum(0, dtype=torch.float64)[-1] * weights
            norm_K[places] += norms_SK.cumsum(0, dtype=torch.float64)[-1]
        if state is not self.state:
            for name in CHANGING:
                self.state[name] = state[name][: len(self.lanes)].clone()
        lanes = self.lanes  # without the repeated ones of a compiled program
        scores = self._score()
        seconds = (time.perf_counter() - started) / len(lanes)
        results = [
            LaneEpoch(
                trial=lane.trial,
                replica=lane.replica,
                epoch=lane.epoch + 1,
                train_loss=train_loss / (sum(plans[i].sizes) / plans[i].sizes[0]),
                learning_rate=float(plans[i].rates[-1]),
                gradient_norm=norm / len(plans[i].sizes),
                seconds=seconds,
                metrics={name: values[i] for name, values in scores.items()},
            )
            for i, (lane, train_loss, norm) in enumerate(zip(lanes, loss_K.tolist(), norm_K.tolist(), strict=False))
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
        """Lanes, state and program for the compiled step. Its number of lanes is fixed: the last lane is repeated to
        fill it. None if the step is not to be compiled, or too few lanes are left for compiling to pay."""
        wanted, have = self.setting.compiled_lanes, len(self.lanes)
        if wanted is None or not wanted < 2 * have <= 2 * wanted:
            return None
        lanes = self.lanes + self.lanes[-1:] * (wanted - have)
        if self._compiled_program is None:
            self._compiled_program = self._program_of(lanes, self.architecture.modules)
        if not self._compiled_program.compiles:
            return None
        repeated = torch.tensor([*range(have), *[have - 1] * (wanted - have)], device=self.setting.examples.device)
        return lanes, {name: self.state[name][repeated] for name in CHANGING}, self._compiled_program

    def _train(
        self,
        stretch: Stretch,
        plans: Sequence[LaneSteps],
        lanes: Sequence[Lane],
        state: dict[str, Tensor],
        program: Program,
    ) -> tuple[Tensor, Tensor]:
        """Trains the lanes of a stretch, in place on `state`; losses and gradient norms of its steps."""
        setting, partial = self.setting, len(stretch.lanes) < len(lanes)
        native = program is not self.program and stretch.first == 0 and not partial
        witnesses = self.architecture.configs if native else ()
        chosen, moving = [lanes[place] for place in stretch.lanes], state
        if partial:
            index = torch.tensor(stretch.lanes, device=setting.examples.device)
            moving, program = {name: state[name][index] for name in CHANGING}, self._program_of(chosen)
        numbers = Numbers.of(chosen, self.layout, setting.examples, witnesses)
        kind = compiled.native if native else step.plain
        found = train(stretch, plans, setting.examples, program, lambda course: kind(program, moving, numbers, course))
        if partial:
            for name in CHANGING:
                state[name][index] = moving[name]
        return found

    def _score(self) -> dict[str, list[float]]:
        examples = self.setting.examples
        replicas = [lane.replica for lane in self.lanes]
        parts = examples.parts_of(replicas)
        theta, stats = self.state["theta"], self.state["stats"]
        found = [self.program.outputs(theta, stats, x) for x in examples.validation(replicas)]
        outputs = torch.cat(found, dim=1)
        shape = outputs.shape[:2]
        outcome = metrics.Outcome(
            outputs_KVC=outputs,
            target_KV=examples.y_valid[parts].expand(shape),
            valid_KV=examples.real[parts].expand(shape),
            scale_K=examples.target_scale[parts].expand(shape[0]),
            positive=examples.positive,
        )
        return metrics.score(outcome, self.setting.metrics)
