"""A program that computes its lanes one after the other.

Lanes of ragged sequences have different numbers of rows, and products over these would be rounded differently if one
lane were filled up to another's. Their tensors are large enough that computing them together would gain little on a
CPU, and one lane's tensors stay in its cache.

Dimensions: K lanes, B examples, P parameters, Q running averages, C outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from hpo.models.layers.attention import Attention
from hpo.training.program import PORTION, Bound, Program


class Lanewise(Program):
    """The program of the given lanes' modules."""

    def __init__(self, modules: Sequence[nn.Sequential], *given: Any, **options: Any) -> None:
        super().__init__(modules, *given, **options)
        self.lanes = [Program([module], *given, **options) for module in modules]
        self.compiles = False  # how many rows there are depends on the batch

    def bind(self, theta_KP: Tensor, stats_KQ: Tensor, *, separate: bool = False) -> LanewiseBound:
        """As `Program.bind`."""
        return LanewiseBound(self, theta_KP, stats_KQ, separate=separate)

    def outputs(self, theta_KP: Tensor, stats_KQ: Tensor, x: Tensor, rows: int = PORTION) -> Tensor:
        """As `Program.outputs`."""
        parts = []
        for k, lane in enumerate(self.lanes):
            mine = x if len(x) == 1 else x[k : k + 1]
            parts.append(lane.outputs(theta_KP[k : k + 1], stats_KQ[k : k + 1], mine, rows))
        return torch.cat(parts)


class LanewiseBound(Bound):
    """A program bound to the tensors it trains."""

    def __init__(self, program: Lanewise, theta_KP: Tensor, stats_KQ: Tensor, *, separate: bool) -> None:
        super().__init__(program, theta_KP, stats_KQ, separate=separate)
        self.lanes = [
            lane.bind(theta_KP[k : k + 1], stats_KQ[k : k + 1], separate=separate)
            for k, lane in enumerate(program.lanes)
        ]

    def step(self, x: Tensor, masks: Mapping[str, Tensor], loss: Callable[..., tuple[Tensor, Tensor]]) -> Tensor:
        """As `Bound.step`; `loss` also takes the lanes whose outputs it gets."""
        losses = []
        for k, lane in enumerate(self.lanes):
            one = slice(k, k + 1)
            mine = {name: mask[one] for name, mask in masks.items()}
            losses.append(lane.step(x[one], mine, partial(loss, lanes=one)))
            self.gradient_KP[one] = lane.gradient_KP
        return torch.cat(losses)


def program_of(modules: Sequence[nn.Sequential], *given: Any, device: torch.device, **options: Any) -> Program:
    """The program that suits the lanes' modules and the device."""
    ragged = any(isinstance(child, Attention) for child in modules[0])
    kind = Lanewise if ragged and device.type == "cpu" and len(modules) > 1 else Program
    return kind(modules, *given, device=device, **options)
