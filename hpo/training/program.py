"""One tensor program for K lanes: the forward pass over stacked layers, a training step, and validation.

Lanes share an architecture (the shapes of their weight-bearing layers); what fills the slots between them
(normalisation, activation, dropout) may differ, as may every number. A position where lanes differ is computed per
group of like lanes. The program holds no state of its own: theta, stats and the optimizer's moments are passed in.

Dimensions: K lanes, B examples, P parameters, Q running averages, C outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.optim import penalties
from hpo.training import layout as lay
from hpo.training.stacked import RULES, Frame, Lanes, Rule

EVERYONE = slice(None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Lanes that have the same kind of layer at one position."""

    lanes: Lanes
    rule: Rule
    layer: nn.Module


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """One child of the Sequential."""

    name: str
    groups: tuple[Group, ...]
    order: Tensor | None
    """Where lanes are not neighbours: the permutation that brings the groups' outputs back in order."""


def kind(layer: nn.Module) -> str:
    """What must agree for lanes to be computed together at a position; numbers that may differ by lane are left out."""
    if isinstance(layer, nn.Dropout | nn.Dropout2d):
        return type(layer).__name__ if layer.p > 0 else "Identity"
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"{type(layer).__name__}({layer.num_features}, affine={layer.affine})"
    return repr(layer)


def structure(module: nn.Sequential) -> tuple[str, ...]:
    """Sort key: cohorts keep like lanes side by side, so that most groups are slices."""
    return tuple(kind(child) for child in module.children())


class Program:
    """The program of the given lanes' modules. Build a new one when the lanes change; that is cheap."""

    def __init__(self, modules: Sequence[nn.Sequential], layout: lay.Layout, *, device: torch.device) -> None:
        self.layout = layout
        self.positions = tuple(_positions(modules, device))
        self.drop_K = {
            name: torch.tensor([_drop_probability(m, name) for m in modules], device=device)
            for name, child in modules[0].named_children()
            if isinstance(child, nn.Dropout | nn.Dropout2d)
        }
        self.momentum_K1 = {
            name: torch.tensor([[_momentum(m, name)] for m in modules], device=device)
            for name, _ in modules[0].named_children()
            if any(isinstance(m.get_submodule(name), nn.BatchNorm1d | nn.BatchNorm2d) for m in modules)
        }

    def forward(self, theta_KP: Tensor, stats_KQ: Tensor, x: Tensor, keys_K: Tensor | None) -> tuple[Tensor, Frame]:
        """Outputs [K, B, C] for inputs [K, B, ...]; `keys_K` None means inference."""
        frame = Frame(
            parameters=lay.split(self.layout.parameters, theta_KP),
            stats=lay.split(self.layout.stats, stats_KQ),
            drop_K=self.drop_K,
            keys_K=keys_K,
        )
        for position in self.positions:
            if len(position.groups) == 1:
                group = position.groups[0]
                x = group.rule(position.name, group.layer, frame, group.lanes, x)
                continue
            parts = [g.rule(position.name, g.layer, frame, g.lanes, x[g.lanes]) for g in position.groups]
            x = torch.cat(parts)
            if position.order is not None:
                x = x[position.order]
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
    if smoothing_K1 is None:
        flat = F.cross_entropy(outputs.flatten(0, 1), y_KB.flatten(), reduction="none")
        return flat.view(y_KB.shape)
    return penalties.smoothed_cross_entropy(outputs, y_KB, smoothing_K1)


def _positions(modules: Sequence[nn.Sequential], device: torch.device) -> list[Position]:
    positions = []
    for index, (name, _) in enumerate(modules[0].named_children()):
        layers = [m[index] for m in modules]
        members: dict[str, list[int]] = {}
        for lane, layer in enumerate(layers):
            members.setdefault(kind(layer), []).append(lane)
        if set(members) == {"Identity()"} or set(members) == {"Identity"}:
            continue
        groups = tuple(
            Group(
                lanes=_lanes(lanes, len(modules), device),
                rule=RULES[nn.Identity if kind_ == "Identity" else type(layers[lanes[0]])],
                layer=layers[lanes[0]],
            )
            for kind_, lanes in members.items()
        )
        order = [lane for lanes in members.values() for lane in lanes]
        in_order = order == sorted(order)
        inverse = None if in_order else torch.tensor(order, device=device).argsort()
        positions.append(Position(name=name, groups=groups, order=inverse))
    return positions


def _lanes(lanes: list[int], total: int, device: torch.device) -> Lanes:
    if len(lanes) == total:
        return EVERYONE
    if lanes[-1] - lanes[0] + 1 == len(lanes):
        return slice(lanes[0], lanes[-1] + 1)
    return torch.tensor(lanes, device=device)


def _drop_probability(module: nn.Sequential, name: str) -> float:
    layer = module.get_submodule(name)
    assert isinstance(layer, nn.Dropout | nn.Dropout2d)
    return layer.p


def _momentum(module: nn.Sequential, name: str) -> float:
    layer = module.get_submodule(name)
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d) and layer.momentum is not None:
        return layer.momentum
    return 0.0
