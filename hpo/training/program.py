"""One tensor program for K lanes: the forward pass over stacked layers, a training step, and validation.

Lanes share an architecture (the shapes of their weight-bearing layers); what fills the slots between them
(normalisation, activation, dropout) may differ, as may every number. A position where lanes differ is computed per
group of like lanes. The program holds no state of its own: theta, stats and the optimizer's moments are passed in.

Dimensions: K lanes, B examples, P parameters, Q running averages, C outputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from hpo.optim import penalties
from hpo.training import layout as lay
from hpo.training.masks import drops_of
from hpo.training.mixed_norm import MixedNorm, is_dense_norm
from hpo.training.stacked import RULES, Frame, Rule


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Average:
    """Running averages that a run of lanes keeps at one position."""

    name: str
    lanes: slice
    momentum_K1: Tensor
    """Weight of the newest batch; 0 for lanes without batch normalisation there."""


IDLE = repr(nn.Identity())
"""The kind of a layer that does nothing."""


def kind(layer: nn.Module) -> str:
    """What must agree for lanes to be computed together at a position; numbers that may differ by lane are left out."""
    if isinstance(layer, nn.Dropout | nn.Dropout2d):
        return type(layer).__name__
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"{type(layer).__name__}({layer.num_features}, affine={layer.affine})"
    return repr(layer)


def structure(module: nn.Sequential) -> tuple[str, ...]:
    """Sort key: cohorts keep like lanes side by side, so that runs of like lanes are long."""
    return tuple(kind(child) for child in module.children())


class Program:
    """The program of the given lanes' modules. Build a new one when the lanes change; that is cheap."""

    def __init__(
        self,
        modules: Sequence[nn.Sequential],
        layout: lay.Layout,
        input_shape: tuple[int, ...],
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.layout = layout
        self.drops = drops_of(modules, input_shape, dtype, device)
        self.positions = tuple(_positions(modules, dtype, device))
        self.averages = tuple(_averages(self.positions, modules, dtype, device))

    def masks(self, keys_K: Tensor, batch: int) -> dict[str, Tensor]:
        """The dropout masks of one training step, from its random keys."""
        return {name: drop.mask(keys_K, batch) for name, drop in self.drops.items()}

    def forward(
        self, theta_KP: Tensor, stats_KQ: Tensor, x: Tensor, masks: Mapping[str, Tensor] | None
    ) -> tuple[Tensor, Frame]:
        """Outputs [K, B, C] for inputs [K, B, ...]; `masks` None means inference."""
        frame = Frame(
            parameters=lay.split(self.layout.parameters, theta_KP),
            stats=lay.split(self.layout.stats, stats_KQ),
            masks=masks,
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
        masks: Mapping[str, Tensor],
        smoothing_K1: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Mean training loss [K] of a batch and its gradient [K, P]; moves the running averages in place."""

        def loss(theta: Tensor) -> tuple[Tensor, tuple[Tensor, list[tuple[Tensor, Tensor]]]]:
            outputs, frame = self.forward(theta, stats_KQ, x, masks)
            loss_K = loss_per_example(outputs, y_KB, smoothing_K1).mean(1)
            return loss_K.sum(), (loss_K, frame.batch_stats)

        if torch.compiler.is_compiling():
            gradient_KP, (loss_K, batch_stats) = torch.func.grad(loss, has_aux=True)(theta_KP)
        else:
            theta = theta_KP.detach().requires_grad_()
            total, (loss_K, batch_stats) = loss(theta)
            (gradient_KP,) = torch.autograd.grad(total, theta)
        with torch.no_grad():
            views = lay.split(self.layout.stats, stats_KQ)
            for average, (mean, variance) in zip(self.averages, batch_stats, strict=True):
                for suffix, value in (("running_mean", mean), ("running_var", variance)):
                    old = views[f"{average.name}.{suffix}", tuple(value.shape[1:])][average.lanes]
                    old.copy_(old + average.momentum_K1 * (value - old))
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
        if any(kind(layer) != IDLE and getattr(layer, "p", 1) > 0 for layer in layers):
            positions.append(Position(name=name, runs=tuple(runs)))
    return positions


def _averages(
    positions: Sequence[Position], modules: Sequence[nn.Sequential], dtype: torch.dtype, device: torch.device
) -> Iterator[Average]:
    for position in positions:
        for run in position.runs:
            layers = [module.get_submodule(position.name) for module in modules[run.lanes]]
            momentum = [
                layer.momentum or 0.0 if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) else 0.0 for layer in layers
            ]
            if any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) for layer in layers):
                column = torch.tensor(momentum, device=device, dtype=dtype).unsqueeze(1)
                yield Average(name=position.name, lanes=run.lanes, momentum_K1=column)
