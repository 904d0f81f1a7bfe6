"""One training step of K lanes: gradient, penalties, clipping, update.

Dimensions: K lanes, B examples, P parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from hpo.optim import penalties, rules
from hpo.spec.records import TrialConfig
from hpo.training import layout as lay
from hpo.training.program import Bound, Program

CACHED = 2**16
"""Numbers of a matrix that are updated together on a CPU: all passes over them then find them in its cache."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Numbers:
    """The lanes' regularisation and update coefficients as columns; None where no lane has the number."""

    coefficients: rules.LaneCoefficients
    weights_1P: Tensor
    smoothing_K1: Tensor | None
    l1_K1: Tensor | None
    l2_K1: Tensor | None
    clip_K1: Tensor | None
    max_norm_K1: Tensor | None
    portion: int
    """Lanes that are updated together."""

    @classmethod
    def of(
        cls,
        configs: Sequence[TrialConfig],
        layout: lay.Layout,
        device: torch.device,
        dtype: torch.dtype,
        witnesses: Sequence[TrialConfig] = (),
    ) -> Numbers:
        """From the lanes' configurations, in order. What a witness needs has a place, though no lane may need it."""
        lanes = len(configs)
        table = [config.regularization for config in (*configs, *witnesses)]

        def column(values: Sequence[float | None], absent: float) -> Tensor | None:
            filled = [absent if value is None else value for value in values]
            if all(value == absent for value in filled):
                return None
            return torch.tensor(filled[:lanes], device=device, dtype=dtype).unsqueeze(1)

        return cls(
            coefficients=rules.stack(
                [rules.coefficients(c.optimizer) for c in configs],
                dtype,
                device,
                [rules.coefficients(c.optimizer) for c in witnesses],
            ),
            portion=lanes if device.type == "cuda" else max(1, CACHED // lay.width(layout.parameters)),
            weights_1P=layout.weights().to(device),
            smoothing_K1=column([r.label_smoothing for r in table], 0.0),
            l1_K1=column([r.l1 for r in table], 0.0),
            l2_K1=column([r.l2 for r in table], 0.0),
            clip_K1=column([r.gradient_clip for r in table], math.inf),
            max_norm_K1=column([r.max_norm for r in table], math.inf),
        )


Advance = Callable[[Tensor, Tensor, Mapping[str, Tensor], rules.StepColumns], tuple[Tensor, Tensor]]
"""One step of some lanes, from inputs, targets, dropout masks and the step's columns; see `step`."""


def step(
    bound: Bound,
    state: Mapping[str, Tensor],
    numbers: Numbers,
    x: Tensor,
    y_KB: Tensor,
    masks: Mapping[str, Tensor],
    now: rules.StepColumns,
) -> tuple[Tensor, Tensor]:
    """Moves theta, stats, m and v in the state by one batch. Returns loss [K] and the raw gradient's norm [K]."""
    loss_K = bound.step(x, y_KB, masks, numbers.smoothing_K1)
    theta_KP, gradient_KP = state["theta"], bound.gradient_KP
    if numbers.l1_K1 is not None or numbers.l2_K1 is not None:
        penalties.add_penalties_(gradient_KP, theta_KP, numbers.weights_1P, numbers.l1_K1, numbers.l2_K1)
    norm_K = penalties.clip_(gradient_KP, numbers.clip_K1)
    rules.update_(theta_KP, gradient_KP, state["m"], state["v"], now, numbers.coefficients, numbers.portion)
    if numbers.max_norm_K1 is not None:
        for name, shape in bound.weights:
            penalties.max_norm_(bound.frame.parameters[name, shape], numbers.max_norm_K1)
    return loss_K, norm_K


def plain(program: Program, state: Mapping[str, Tensor], numbers: Numbers) -> Advance:
    """The step of these lanes, operation by operation."""
    return partial(step, program.bind(state["theta"], state["stats"]), state, numbers)
