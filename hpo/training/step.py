"""One training step of K lanes: gradient, penalties, clipping, update, average of the weights.

Dimensions: K lanes, B examples, P parameters, C classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hpo.optim import averages, fused, penalties
from hpo.studyfile.records import Optimizer, TrialConfig
from hpo.training import layout as lay
from hpo.training.batches import Examples
from hpo.training.lane import Lane
from hpo.training.layers.loss import Mixed, mixed_loss, training_loss
from hpo.training.program import Bound, Program


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """The lanes' class weights and regularisation as columns; None where no lane uses the coefficient."""

    weights_1P: Tensor
    class_weight_KC: Tensor | None
    smoothing_K1: Tensor | None
    l1_K1: Tensor | None
    l2_K1: Tensor | None
    clip_K1: Tensor | None
    max_norm_K1: Tensor | None

    @classmethod
    def of(
        cls,
        lanes: Sequence[Lane],
        layout: lay.Layout,
        examples: Examples,
        witnesses: Sequence[TrialConfig] = (),
    ) -> Numbers:
        """Of the lanes, in order. A coefficient that a witness uses has a column, even if no lane uses it."""
        device, dtype = examples.device, examples.dtype
        configs = [lane.config for lane in lanes]
        table = [config.regularization for config in (*configs, *witnesses)]

        def column(values: Sequence[float | None], absent: float) -> Tensor | None:
            filled = [absent if value is None else value for value in values]
            if all(value == absent for value in filled):
                return None
            return torch.tensor(filled[: len(lanes)], device=device, dtype=dtype).unsqueeze(1)

        weights = None
        if any(config.training.class_weight is not None for config in (*configs, *witnesses)):
            rows = [lane.examples.class_weights(lane.replica, lane.config.training.class_weight) for lane in lanes]
            weights = torch.tensor(rows, device=device, dtype=dtype)

        return cls(
            weights_1P=layout.weights().to(device),
            class_weight_KC=weights,
            smoothing_K1=column([r.label_smoothing for r in table], 0.0),
            l1_K1=column([r.l1 for r in table], 0.0),
            l2_K1=column([r.l2 for r in table], 0.0),
            clip_K1=column([r.gradient_clip for r in table], math.inf),
            max_norm_K1=column([r.max_norm for r in table], math.inf),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """The lanes' optimizers and learning rates over some steps of an epoch. Where gradients are accumulated, an update
    follows only after several of these steps; S counts the updates."""

    optimizers: tuple[Optimizer, ...]
    rate_SK: NDArray[np.float64]
    """Learning rates."""
    done: tuple[int, ...]
    """Updates that each lane has made before."""
    averaged: tuple[int, ...]
    """For each step: the number of batches whose gradients its update averages; 0: none follows yet."""
    decays: tuple[float, ...]
    """Of the lanes' averages of the weights, where they have one."""

    def newest(self, state: Mapping[str, Tensor]) -> Sequence[Tensor | None]:
        """For each update: the weight of the present parameters in the average, [K, 1]; None where there is none."""
        count = len(self.rate_SK)
        if "average_theta" not in state:
            return [None] * count
        return averages.newest(self.decays, count, self.done, state["theta"]).unbind()


Advance = Callable[[int, Tensor, Tensor | Mixed, Mapping[str, Tensor]], tuple[Tensor, Tensor]]
"""One step of some lanes, from its number in the epoch (from 0), inputs, targets and dropout masks; see `step`."""


def step(
    bound: Bound,
    state: Mapping[str, Tensor],
    numbers: Numbers,
    x: Tensor,
    y: Tensor | Mixed,
    masks: Mapping[str, Tensor],
    update: Callable[[], None],
    newest_K1: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Trains all lanes on one batch; see `descend`. Returns the loss [K] and the gradient's norm before clipping
    [K]."""
    loss_K = backward(bound, numbers, x, y, masks)
    return loss_K, descend(bound, state, numbers, update, newest_K1)


def backward(bound: Bound, numbers: Numbers, x: Tensor, y: Tensor | Mixed, masks: Mapping[str, Tensor]) -> Tensor:
    """The loss [K] of a batch. Its gradient is in `bound`."""

    def loss(outputs_KBC: Tensor, lanes: slice | None = None) -> tuple[Tensor, Tensor]:
        smoothing_K1, weight_KC = numbers.smoothing_K1, numbers.class_weight_KC
        target = y
        if lanes is not None:
            target = y[lanes]
            smoothing_K1 = None if smoothing_K1 is None else smoothing_K1[lanes]
            weight_KC = None if weight_KC is None else weight_KC[lanes]
        if isinstance(target, Mixed):
            return mixed_loss(outputs_KBC, bound.outputs, target, smoothing_K1, weight_KC)
        return training_loss(outputs_KBC, bound.outputs, target, smoothing_K1, weight_KC)

    return bound.step(x, masks, loss)


def descend(
    bound: Bound,
    state: Mapping[str, Tensor],
    numbers: Numbers,
    update: Callable[[], None],
    newest_K1: Tensor | None,
) -> Tensor:
    """Changes the weights by the gradient in `bound`, to which `update` applies the optimizers, and their average.
    Returns the gradient's norm before clipping [K]. `newest_K1`: see `Course.newest`."""
    theta_KP = state["theta"]
    if numbers.l1_K1 is not None or numbers.l2_K1 is not None:
        penalties.add_penalties_(bound.gradient_KP, theta_KP, numbers.weights_1P, numbers.l1_K1, numbers.l2_K1)
    norm_K = penalties.clip_(bound.gradient_KP, numbers.clip_K1)
    held = _without_gradient(bound, state, numbers)
    update()
    for rows, here_K, before in held:
        rows[here_K] = before
    if numbers.max_norm_K1 is not None:
        for name, shape in bound.weights:
            penalties.max_norm_(bound.frame.parameters[name, shape], numbers.max_norm_K1)
    if newest_K1 is not None:
        averages.follow_(state["average_theta"], theta_KP, newest_K1)
        averages.follow_(state["average_stats"], state["stats"], newest_K1)
    return norm_K


def _without_gradient(
    bound: Bound, state: Mapping[str, Tensor], numbers: Numbers
) -> list[tuple[Tensor, Tensor, Tensor]]:
    """What an update must not change, as PyTorch's optimizers leave alone what has no gradient: numbers of parameters,
    or kept for them, that the batch's passes have not used, [K, ...], where [K], and what they are. A penalty gives a
    weight a gradient."""
    found = []
    for entry in bound.layout.parameters:
        here_K = bound.frame.unused.get((entry.name, entry.shape))
        if here_K is None:
            continue
        if lay.is_weight(entry):
            for penalty_K1 in (numbers.l1_K1, numbers.l2_K1):
                here_K = here_K if penalty_K1 is None else here_K & (penalty_K1.squeeze(1) == 0.0)
        for name in ("theta", "m", "v"):
            rows = state[name][:, entry.start : entry.start + entry.size]
            found.append((rows, here_K, rows[here_K]))
    return found


def plain(program: Program, state: Mapping[str, Tensor], numbers: Numbers, course: Course) -> Advance:
    """The step of these lanes without compiling. The state has `summed` where gradients are accumulated."""
    theta, m, v = state["theta"], state["m"], state["v"]
    bound = program.bind(theta, state["stats"])
    places = [(entry.start, entry.shape) for entry in program.layout.parameters]
    update = fused.updater(course.optimizers, theta, bound.gradient_KP, m, v, course.rate_SK, course.done, places)
    newest, summed = course.newest(state), state.get("summed")
    unused: dict[tuple[str, tuple[int, ...]], Tensor] = {}
    made = [0, *itertools.accumulate(map(bool, course.averaged))]

    def advance(s: int, x: Tensor, y: Tensor | Mixed, masks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        nonlocal unused
        loss_K = backward(bound, numbers, x, y, masks)
        if summed is not None:
            summed.add_(bound.gradient_KP)
            now = dict(bound.frame.unused)
            begins = s == 0 or course.averaged[s - 1] > 0
            unused = now if begins else {key: here & now[key] for key, here in unused.items() if key in now}
            if not course.averaged[s]:
                return loss_K, torch.zeros_like(loss_K)
            bound.frame.unused = unused
            torch.div(summed, course.averaged[s], out=bound.gradient_KP)
            summed.zero_()
        number = made[s]
        return loss_K, descend(bound, state, numbers, lambda: update(number), newest[number])

    return advance
