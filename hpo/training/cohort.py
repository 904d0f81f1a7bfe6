"""A cohort: lanes that train in one program, epoch by epoch. Lanes join and leave between epochs.

Everything that training changes is in a few tensors with one row for each lane (`state`), so removing, adding, saving
and restoring lanes are operations on rows. Which trials train, and when they end, is decided by the caller.

Dimensions: K lanes, S steps, P parameters, Q running averages.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from hpo.models.named_inputs import at_hand
from hpo.optim import schedules
from hpo.optim.coefficients import RULES, initial_v
from hpo.training import compiled, metrics, step
from hpo.training import layout as lay
from hpo.training.architecture import Architecture
from hpo.training.batches import LanePart
from hpo.training.diagnosis import updates
from hpo.training.epoch import LaneSteps, Stretch, groups, stretches, train
from hpo.training.feed import validation
from hpo.training.lane import Lane, LaneEpoch, Setting
from hpo.training.layers.kinds import structure
from hpo.training.program import Program
from hpo.training.ragged.lanewise import program_of
from hpo.training.step import Numbers

BEST = "best_"
"""Begins the names of the rows of each lane's best epoch; an epoch changes the rest of the state."""


class Cohort:
    """Lanes with one key (see `architecture.key_of`), sorted by structure and optimizer."""

    def __init__(
        self, setting: Setting, architecture: Architecture, lanes: Sequence[Lane], state: dict[str, Tensor]
    ) -> None:
        self.setting = setting
        self.architecture = architecture
        order = sorted(range(len(lanes)), key=lambda i: (structure(lanes[i].module), lanes[i].config.optimizer.name))
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
        accumulator = [[initial_v(lane.config.optimizer)] for lane in lanes]
        state = {
            "theta": theta,
            "stats": stats,
            "m": torch.zeros_like(theta),
            "v": torch.zeros_like(theta) + torch.tensor(accumulator, device=device, dtype=dtype),
            "best_theta": theta.clone(),
            "best_stats": stats.clone(),
        }
        if lanes[0].config.training.average != "none":
            state |= {"average_theta": theta.clone(), "average_stats": stats.clone()}
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
        for best, present in zip(("best_theta", "best_stats"), self._judged(), strict=True):
            self.state[best][rows] = present[rows]

    def _judged(self) -> tuple[Tensor, Tensor]:
        """The parameters and running averages that are validated and kept: averages over the steps, if there are."""
        theta, stats = (self.state.get(f"average_{name}", self.state[name]) for name in ("theta", "stats"))
        return theta, stats

    @property
    def layout(self) -> lay.Layout:
        return self.architecture.layout

    @property
    def program(self) -> Program:
        if self._program is None:
            self._program = self._program_of(self.lanes)
        return self._program

    @cached_property
    def _at_once(self) -> int | None:
        """Lanes that train together; None: all."""
        setting = self.setting
        if setting.examples.device.type != "cpu":
            return None
        batch = max(self.lanes[0].batch_sizes)
        return self.architecture.lanes_at_once(setting.examples.signature, batch, setting.dtype.itemsize)

    def _program_of(self, lanes: Sequence[Lane], witnesses: Sequence[nn.Sequential] | None = None) -> Program:
        examples = self.setting.examples
        with at_hand(examples.some):
            return program_of(
                [lane.module for lane in lanes],
                self.layout,
                examples.signature,
                examples.outputs,
                device=examples.device,
                dtype=self.setting.dtype,
                conventions=lanes[0].config.conventions,
                witnesses=witnesses,
            )

    def epoch(self) -> list[LaneEpoch]:
        """Trains every lane for one epoch and scores it on its validation part.

        If that raises, the state is the same as before.
        """
        before, lanes = {name: value.clone() for name, value in _changing(self.state).items()}, self.lanes
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
        native = self._native()
        lanes, state, program = native or (self.lanes, _changing(self.state), self.program)
        accumulates = lanes[0].config.training.accumulate > 1
        if accumulates:
            state["summed"] = torch.zeros_like(state["theta"])
        plans = [LaneSteps.of(lane, setting) for lane in lanes]
        loss_K, norm_K = (torch.zeros(len(lanes), device=setting.examples.device, dtype=torch.float64) for _ in "LN")
        ratios: dict[int, Tensor] = {}
        most = self._at_once if native is None else None
        for stretch in stretches([plan.sizes for plan in plans], most, apart=accumulates):
            losses_SK, norms_SK = self._train(stretch, plans, lanes, state, program, ratios)
            # `cumsum` adds in the order of the steps; `sum` would add in an order that depends on the number of lanes.
            places = list(stretch.lanes)
            weights = loss_K.new_tensor([stretch.batch / plans[place].sizes[0] for place in places])
            loss_K[places] += losses_SK.cumsum(0, dtype=torch.float64)[-1] * weights
            norm_K[places] += norms_SK.cumsum(0, dtype=torch.float64)[-1]
        if native:
            self.state.update({name: value[: len(self.lanes)].clone() for name, value in state.items()})
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
                gradient_norm=norm / len(plans[i].rates),
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
                update_ratios=updates.noted(lane.update_ratios, self.layout, ratios[i])
                if i in ratios
                else lane.update_ratios,
            )
            for i, (lane, result) in enumerate(zip(lanes, results, strict=True))
        ]
        return results

    def _native(self) -> tuple[list[Lane], dict[str, Tensor], Program] | None:
        """Lanes, state and program for the compiled step. Its number of lanes is fixed: the last lane is repeated to
        fill it. None if the step is not to be compiled, or too few lanes are left for compiling to pay."""
        if self.lanes[0].config.training.accumulate > 1:  # not every step has an update, which takes another program
            return None
        if any(config.optimizer.name not in RULES for config in self.architecture.configs):  # not of the one formula
            return None
        wanted, have = self.setting.compiled_lanes, len(self.lanes)
        if wanted is None or not wanted < 2 * have <= 2 * wanted:
            return None
        lanes = self.lanes + self.lanes[-1:] * (wanted - have)
        if self._compiled_program is None:
            self._compiled_program = self._program_of(lanes, self.architecture.modules)
        if not self._compiled_program.compiles:
            return None
        repeated = torch.tensor([*range(have), *[have - 1] * (wanted - have)], device=self.setting.examples.device)
        changing = {name: value[repeated] for name, value in _changing(self.state).items()}
        return lanes, changing, self._compiled_program

    def _train(
        self,
        stretch: Stretch,
        plans: Sequence[LaneSteps],
        lanes: Sequence[Lane],
        state: dict[str, Tensor],
        program: Program,
        ratios: dict[int, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """Trains the lanes of a stretch, in place on `state`; losses and gradient norms of its steps. Writes into
        `ratios`, by place, how large the last update of the epoch is, where that is measured."""
        setting, partial = self.setting, len(stretch.lanes) < len(lanes)
        native = program is not self.program and stretch.first == 0 and not partial
        witnesses = self.architecture.configs if native else ()
        chosen, moving = [lanes[place] for place in stretch.lanes], state
        if partial:
            index = torch.tensor(stretch.lanes, device=setting.examples.device)
            moving, program = {name: value[index] for name, value in state.items()}, self._program_of(chosen)
        numbers = Numbers.of(chosen, self.layout, setting.examples, witnesses)
        end = stretch.first + stretch.steps
        due = {
            row: place
            for row, place in enumerate(stretch.lanes)
            if len(plans[place].sizes) == end and updates.is_due(lanes[place].epoch + 1)
        }

        def advance_on(course: step.Course) -> step.Advance:
            if native:
                advance = compiled.native(program, moving, numbers, course, witnesses)
            else:
                advance = step.plain(program, moving, numbers, course)
            if not due:
                return advance
            return updates.measuring(advance, moving["theta"], self.layout, due, stretch.steps - 1, ratios)

        found = train(stretch, plans, setting.examples, program, advance_on)
        if partial:
            for name, value in moving.items():
                state[name][index] = value
        return found

    def _score(self) -> dict[str, list[float]]:
        parts = [lane.part for lane in self.lanes]
        scores: dict[str, list[float]] = {name: [math.nan] * len(parts) for name in self.setting.metrics}
        for places in validation.of_one_size(parts):
            for name, values in self._score_some(places, [parts[place] for place in places]).items():
                for place, value in zip(places, values, strict=True):
                    scores[name][place] = value
        return scores

    def _score_some(self, places: list[int], parts: list[LanePart]) -> dict[str, list[float]]:
        """Scores of the lanes at these places; all have validation parts of one size."""
        theta, stats = self._judged()
        found = []
        for group in groups(len(places), self._at_once):
            some = places[group.start : group.stop]
            whole = len(some) == len(self.lanes)
            program = self.program if whole else self._program_of([self.lanes[place] for place in some])
            rows = slice(None) if whole else some
            portions = validation.inputs(parts[group.start : group.stop])
            found.append(torch.cat([program.outputs(theta[rows], stats[rows], x) for x in portions], dim=1))
        outcome = validation.outcome(torch.cat(found), parts)
        return metrics.score(outcome, self.setting.metrics)


def _changing(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state that an epoch changes."""
    return {name: value for name, value in state.items() if not name.startswith(BEST)}
