"""One tensor program for K lanes: the forward pass over stacked layers, a training step, and validation.

Lanes share an architecture (the shapes of their weight-bearing layers); what fills the slots between them
(normalisation, activation, dropout) may differ, as may every number. A position where lanes differ is computed per
group of like lanes. The program holds no state of its own: theta, stats and the optimizer's moments are passed in.

Dimensions: K lanes, B examples, P parameters, Q running averages, C outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from hpo.optim import penalties
from hpo.training import layout as lay
from hpo.training.mixed_norm import MixedNorm, is_dense_norm
from hpo.training.stacked import RULES, Drop, Frame, Rule


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """Neighbouring lanes that have the same kind of layer at one position."""

    lanes: slice
    rule: Rule
    layer: nn.Module

    @property
    def count(self) -> int:
        return int(self.lanes.stop - self.lanes.start)


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """One child of the Sequential."""

    name: str
    runs: tuple[Run, ...]


IDLE = repr(nn.Identity())
"""The kind of a layer that does nothing."""


def kind(layer: nn.Module) -> str:
    """What must agree for lanes to be computed together at a position; numbers that may differ by lane are left out."""
    if isinstance(layer, nn.Dropout | nn.Dropout2d):
        return type(layer).__name__ if layer.p > 0 else IDLE
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"{type(layer).__name__}({layer.num_features}, affine={layer.affine})"
    return repr(layer)


def structure(module: nn.Sequential) -> tuple[str, ...]:
    """Sort key: cohorts keep like lanes side by side, so that most groups are slices."""
    return tuple(kind(child) for child in module.children())


class Program:
    """The program of the given lanes' modules. Build a new one when the lanes change; that is cheap."""

    def __init__(
        self, modules: Sequence[nn.Sequential], layout: lay.Layout, *, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.layout = layout
        self.positions = tuple(_positions(modules, dtype, device))
        slots = [name for name, child in modules[0].named_children() if isinstance(child, nn.Dropout | nn.Dropout2d)]
        self.drops = {
            name: Drop.of([_drop_probability(m, name) for m in modules], salt, dtype, device)
            for salt, name in enumerate(slots, start=1)
        }
        self.momentum_K1 = {
            name: torch.tensor([[_momentum(m, name)] for m in modules], device=device, dtype=dtype)
            for name, _ in modules[0].named_children()
            if any(isinstance(m.get_submodule(name), nn.BatchNorm1d | nn.BatchNorm2d) for m in modules)
        }

    def forward(self, theta_KP: Tensor, stats_KQ: Tensor, x: Tensor, keys_K: Tensor | None) -> tuple[Tensor, Frame]:
        """Outputs [K, B, C] for inputs [K, B, ...]; `keys_K` None means inference."""
        frame = Frame(
            parameters=lay.split(self.layout.parameters, theta_KP),
            stats=lay.split(self.layout.stats, stats_KQ),
            drops=self.drops,
            keys_K=keys_K,
        )
        for position in self.positions:
            runs = position.runs
            parts = x.split([run.count for run in runs]) if len(runs) > 1 else (x,)
            done = [
                run.rule(position.name, run.layer, frame, run.lanes, part)
                for run, part in zip(runs, parts, strict=True)
            ]
            x = torch.cat(done) if len(runs) > 1 else done[0]
        return x, frame

    def gradient(
        self,
        theta_KP: Tensor,
        stats_KQ: Tensor,
        x: Tensor,
        y_KB: Tensor,
        smoothing_K1: Tensor | None,
        keys_K: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Mean training loss [K] of a batch and its gradient [K, P]; moves the running averages in place."""
        theta = theta_KP.detach().requires_grad_()
        outputs, frame = self.forward(theta, stats_KQ, x, keys_K)
        loss_K = loss_per_example(outputs, y_KB, smoothing_K1).mean(1)
        (gradient_KP,) = torch.autograd.grad(loss_K.sum(), theta)
        with torch.no_grad():
            for name, lanes, mean, variance in frame.batch_stats:
                momentum = self.momentum_K1[name][lanes]
                for suffix, value in (("running_mean", mean), ("running_var", variance)):
                    average = frame.stats[f"{name}.{suffix}", tuple(value.shape[1:])]
                    average[lanes] = average[lanes] + momentum * (value - average[lanes])
        return loss_K.detach(), gradient_KP

    @torch.no_grad()
    def outputs(self, theta_KP: Tensor, stats_KQ: Tensor, x: Tensor, rows: int = 512) -> Tensor:
        """Inference on [K, B, ...] (or [1, B, ...], shared by all lanes) in portions of `rows` examples."""
        lanes = theta_KP.shape[0]
        portions = [
            self.forward(theta_KP, stats_KQ, part.expand(lanes, *part.shape[1:]), None)[0]
            for part in x.split(rows, dim=1)
        ]
        return torch.cat(portions, dim=1)


def loss_per_example(outputs: Tensor, y_KB: Tensor, smoothing_K1: Tensor | None = None) -> Tensor:
    """[K, B]: cross entropy for class targets (int64), squared error for numbers."""
    if y_KB.dtype.is_floating_point:
        return (outputs.squeeze(-1) - y_KB).square()
    return penalties.smoothed_cross_entropy(outputs, y_KB, smoothing_K1)


def _positions(modules: Sequence[nn.Sequential], dtype: torch.dtype, device: torch.device) -> list[Position]:
    positions = []
    for index, (name, _) in enumerate(modules[0].named_children()):
        layers = [module[index] for module in modules]
        mixes = any(map(is_dense_norm, layers))

        def same(layer: nn.Module, mixes: bool = mixes) -> str:
            return "dense norm" if mixes and (is_dense_norm(layer) or kind(layer) == IDLE) else kind(layer)

        runs, begin = [], 0
        for what, members in groupby(layers, key=same):
            end = begin + len(list(members))
            rule: Rule
            if what == "dense norm":
                rule = MixedNorm.of(name, layers[begin:end], dtype, device)
            else:
                rule = RULES[nn.Identity if what == IDLE else type(layers[begin])]
            runs.append(Run(lanes=slice(begin, end), rule=rule, layer=layers[begin]))
            begin = end
        if any(kind(layer) != IDLE for layer in layers):
            positions.append(Position(name=name, runs=tuple(runs)))
    return positions


def _drop_probability(module: nn.Sequential, name: str) -> float:
    layer = module.get_submodule(name)
    assert isinstance(layer, nn.Dropout | nn.Dropout2d)
    return layer.p


def _momentum(module: nn.Sequential, name: str) -> float:
    layer = module.get_submodule(name)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.momentum is not None:
        return layer.momentum
    return 0.0
