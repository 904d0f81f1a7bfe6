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

from hpo.studyfile.records import OneCycle, WarmupCosine
from hpo.training import layout as lay
from hpo.training.lane import Lane
from hpo.training.layers.loss import Mixed
from hpo.training.step import Advance

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
    largest = max((ratio for ratios in lane.update_ratios.values() for ratio in ratios), default=None)
    if largest is None or (isinstance(schedule, WarmupCosine | OneCycle) and not finished):
        return None
    return Updates(largest=largest, count=lane.epoch * -(-len(lane.batch_sizes) // training.accumulate))


def is_due(epoch: int) -> bool:
    """Whether the last update of an epoch, counted from 1, is measured: in the epochs 1, 2, 4, 8 ..., because measuring
    takes a part of the time of a step."""
    return epoch & (epoch - 1) == 0


def measuring(
    advance: Advance, theta_KP: Tensor, layout: lay.Layout, due: Mapping[int, int], last: int, found: dict[int, Tensor]
) -> Advance:
    """The same steps; the step of number `last` writes the ratios [L] of some lanes into `found`. `due`: row of such a
    lane -> its key there."""
    rows = torch.tensor(list(due), device=theta_KP.device)

    def measured(s: int, x: Tensor, y: Tensor | Mixed, masks: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        if s != last:
            return advance(s, x, y, masks)
        before = theta_KP.index_select(0, rows)
        losses_and_norms = advance(s, x, y, masks)
        sizes_KL = _norms(layout, before)
        changes_KL = _norms(layout, before.sub_(theta_KP.index_select(0, rows)))
        found.update(zip(due.values(), changes_KL / sizes_KL, strict=True))
        return losses_and_norms

    return measured


def noted(before: Ratios, layout: lay.Layout, ratios_L: Tensor) -> Ratios:
    """The ratios of a lane after an epoch. Left out are those of weights that were all 0 or that it does not have."""
    names = (entry.name for entry in layout.parameters if lay.is_weight(entry))
    new = {name: ratio for name, ratio in zip(names, ratios_L.tolist(), strict=True) if math.isfinite(ratio)}
    return {**before, **{name: (*before.get(name, ()), float(f"{ratio:.4g}")) for name, ratio in new.items()}}


def _norms(layout: lay.Layout, rows_KP: Tensor) -> Tensor:
    """[K, L]"""
    weights = filter(lay.is_weight, layout.parameters)
    pieces = (rows_KP[:, entry.start : entry.start + entry.size] for entry in weights)
    norms = [torch.linalg.vector_norm(piece, dim=1) for piece in pieces]
    return torch.stack(norms, dim=1) if norms else rows_KP.new_empty(len(rows_KP), 0)
