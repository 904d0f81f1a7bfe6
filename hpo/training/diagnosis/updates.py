"""How large an update is beside the weights that it changes: for each layer, the norm of the change over the norm of
the weights. About 1/1,000 is usual.

Dimensions: K lanes, P parameters a lane, L layers with weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hpo.studyfile.records import Cosine, CosineRestarts, OneCycle, WarmupCosine
from hpo.training import layout as lay
from hpo.training.lane import Lane
from hpo.training.layers.loss import Mixed
from hpo.training.step import Advance

SAMPLE = 4096
"""Weights of a layer at most that are looked at. They give the ratio to a few per cent."""
Ratios = Mapping[str, tuple[float, ...]]
"""By the name of the weights, in the order of the measured epochs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Updates:
    """The updates of a training."""

    largest: float
    """The largest ratio that was measured, over epochs and layers."""
    count: int
    """Number of updates made."""


def updates_of(lane: Lane, *, finished: bool) -> Updates | None:
    """None where nothing was measured, or where a training ended while its learning rate may still have been rising."""
    training, schedule = lane.config.training, lane.config.schedule
    largest = max((ratio for ratios in telling(lane).values() for ratio in ratios), default=None)
    if largest is None or (isinstance(schedule, WarmupCosine | OneCycle) and not finished):
        return None
    return Updates(largest=largest, count=lane.epoch * -(-len(lane.batch_sizes) // training.accumulate))


def telling(lane: Lane) -> Ratios:
    """The ratios of a lane; none where its schedule ends each measured epoch at a rate of nearly 0."""
    schedule = lane.config.schedule
    if isinstance(schedule, CosineRestarts):
        falls = schedule.period == 1
    else:
        falls = isinstance(schedule, Cosine | WarmupCosine | OneCycle) and lane.config.training.epochs == 1
    return {} if falls else lane.update_ratios


def is_due(epoch: int) -> bool:
    """Whether the last update of an epoch, counted from 1, is measured: in the epochs 1, 2, 4, 8 ..., because measuring
    takes time."""
    return epoch & (epoch - 1) == 0


def measuring(
    advance: Advance, theta_KP: Tensor, layout: lay.Layout, due: Mapping[int, int], last: int, found: dict[int, Tensor]
) -> Advance:
    """The same steps; the step of number `last` writes the ratios [L] of some lanes into `found`. `due`: row of such a
    lane -> its key there."""
    rows = torch.tensor(list(due), device=theta_KP.device)
    samples = _samples(layout, theta_KP)
    if not samples:
        return advance

    def measured(s: int, x: Tensor, y: Tensor | Mixed, masks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        if s != last:
            return advance(s, x, y, masks)
        before = [sample.index_select(0, rows) for sample in samples]
        losses_and_norms = advance(s, x, y, masks)
        changes = [was - sample.index_select(0, rows) for was, sample in zip(before, samples, strict=True)]
        found.update(zip(due.values(), _norms(changes) / _norms(before), strict=True))
        return losses_and_norms

    return measured


def noted(before: Ratios, layout: lay.Layout, ratios_L: Tensor) -> Ratios:
    """The ratios of a lane after an epoch. Left out are those of weights that were all 0 or that it does not have."""
    names = (entry.name for entry in layout.parameters if lay.is_weight(entry))
    new = {name: ratio for name, ratio in zip(names, ratios_L.tolist(), strict=True) if math.isfinite(ratio)}
    return {**before, **{name: (*before.get(name, ()), float(f"{ratio:.4g}")) for name, ratio in new.items()}}


def _samples(layout: lay.Layout, theta_KP: Tensor) -> list[Tensor]:
    """Views of the weights of each layer, [K, N]; every n-th of them where there are many. An odd n meets all units and
    all inputs of most layers."""
    weights = filter(lay.is_weight, layout.parameters)
    return [theta_KP[:, e.start : e.start + e.size : -(-e.size // SAMPLE) // 2 * 2 + 1] for e in weights]


def _norms(layers: list[Tensor]) -> Tensor:
    """[K, L]"""
    return torch.stack([torch.linalg.vector_norm(layer, dim=1) for layer in layers], dim=1)
