"""One training step of K lanes: gradient, penalties, clipping, update. Eager or compiled, from the same code.

Dimensions: K lanes, B examples, P parameters.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, cast

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException

from hpo.optim import penalties, rules
from hpo.spec.records import TrialConfig
from hpo.training import layout as lay
from hpo.training.program import Bound


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

    @classmethod
    def of(
        cls, configs: Sequence[TrialConfig], layout: lay.Layout, device: torch.device, dtype: torch.dtype
    ) -> Numbers:
        """From the lanes' configurations, in order."""
        table = [config.regularization for config in configs]

        def column(values: Sequence[float | None], absent: float) -> Tensor | None:
            filled = [absent if value is None else value for value in values]
            if all(value == absent for value in filled):
                return None
            return torch.tensor(filled, device=device, dtype=dtype).unsqueeze(1)

        return cls(
            coefficients=rules.stack([rules.coefficients(c.optimizer) for c in configs], dtype, device),
            weights_1P=layout.weights().to(device),
            smoothing_K1=column([r.label_smoothing for r in table], 0.0),
            l1_K1=column([r.l1 for r in table], 0.0),
            l2_K1=column([r.l2 for r in table], 0.0),
            clip_K1=column([r.gradient_clip for r in table], math.inf),
            max_norm_K1=column([r.max_norm for r in table], math.inf),
        )


def step(
    bound: Bound,
    state: Mapping[str, Tensor],
    x: Tensor,
    y_KB: Tensor,
    masks: Mapping[str, Tensor],
    now: rules.StepColumns,
    numbers: Numbers,
) -> tuple[Tensor, Tensor]:
    """Moves theta, stats, m and v in the state by one batch. Returns loss [K] and the raw gradient's norm [K]."""
    loss_K = bound.step(x, y_KB, masks, numbers.smoothing_K1)
    theta_KP, gradient_KP = state["theta"], bound.gradient_KP
    if numbers.l1_K1 is not None or numbers.l2_K1 is not None:
        penalties.add_penalties_(gradient_KP, theta_KP, numbers.weights_1P, numbers.l1_K1, numbers.l2_K1)
    norm_K = penalties.clip_(gradient_KP, numbers.clip_K1)
    rules.update_(theta_KP, gradient_KP, state["m"], state["v"], now, numbers.coefficients)
    if numbers.max_norm_K1 is not None:
        for name, shape in bound.weights:
            penalties.max_norm_(bound.frame.parameters[name, shape], numbers.max_norm_K1)
    return loss_K, norm_K


@cache
def compiled() -> Step:
    """The same step as one compiled program; compiling takes seconds for each structure of lanes.

    Where it cannot be compiled, e.g. without a C++ compiler, the eager step takes over with a warning.
    """
    fast = cast(Step, torch.compile(step, dynamic=False))
    broken = False

    @wraps(step)
    def attempt(*args: Any) -> tuple[Tensor, Tensor]:
        nonlocal broken
        if not broken:
            try:
                return fast(*args)
            except TorchDynamoException as error:
                broken = True
                reason = str(error).strip().splitlines()[0]
                logging.getLogger("hpo").warning("the training step cannot be compiled, going on without: %s", reason)
        return step(*args)

    return attempt
