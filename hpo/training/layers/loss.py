"""The loss of K lanes: per example for scores, and with its gradient for training.

Cross entropy with label smoothing (Szegedy et al. 2016) and class weights, as `torch.nn.CrossEntropyLoss` defines them,
or the squared error of a number. Classes are padded to whole vectors: that is several times as fast on CPU for few
classes, and the scalar code for a remainder, which rounds differently, is never used.

Dimensions: K lanes, B examples, C outputs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

WHOLE = 16
"""Numbers in the widest vector of a CPU (float32)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixed:
    """Classes of examples that were mixed in pairs."""

    first: Tensor
    """[K, B]"""
    second: Tensor
    """[K, B]"""
    share: Tensor
    """[K] share of the first; 1 where a lane does not mix."""

    def __getitem__(self, step: int | slice) -> Mixed:
        """Those of one of several steps, or of some lanes, whichever are the first dimension."""
        return Mixed(first=self.first[step], second=self.second[step], share=self.share[step])


def loss_per_example(outputs_KBC: Tensor, y_KB: Tensor) -> Tensor:
    """[K, B]: cross entropy for class targets (int64), squared error for numbers."""
    if y_KB.dtype.is_floating_point:
        return (outputs_KBC.squeeze(-1) - y_KB).square()
    return -_whole(outputs_KBC, outputs_KBC.shape[2]).log_softmax(2).gather(2, y_KB.unsqueeze(2)).squeeze(2)


def training_loss(
    outputs_KBC: Tensor,
    classes: int,
    y_KB: Tensor,
    smoothing_K1: Tensor | None,
    weight_KC: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean loss [K] of the batch and its gradient with respect to the outputs [K, B, C].

    Outputs beyond the model's `classes` are ignored and get no gradient; they may be overwritten. `smoothing_K1`: label
    smoothing; None if no lane has any. `weight_KC`: positive weights of the classes, with which the mean is weighted;
    None if no lane has any. A lane whose weights are all 1 gets, to the last bit, the numbers that it has without them.
    Neither has an effect on regression.
    """
    batch = y_KB.shape[1]
    if y_KB.dtype.is_floating_point:
        error_KB = outputs_KBC[..., 0] - y_KB
        gradient = torch.zeros_like(outputs_KBC)
        gradient[..., 0] = error_KB * (2.0 / batch)
        return error_KB.square().mean(1), gradient
    logits = _whole(outputs_KBC, classes)
    log_p, gradient = logits.log_softmax(2), logits.softmax(2)
    target_KB1 = y_KB.unsqueeze(2)
    likelihood_KB = log_p.gather(2, target_KB1).squeeze(2)
    weight_KB = None
    if weight_KC is not None:
        weight_KB = weight_KC.gather(1, y_KB)
        rate_K1 = batch / _sum(weight_KB)  # makes the mean weight of the batch 1
        weight_KC, weight_KB = weight_KC * rate_K1, weight_KB * rate_K1
    hit_KB = torch.ones_like(likelihood_KB) if weight_KB is None else weight_KB
    loss_KB = likelihood_KB if weight_KB is None else likelihood_KB * weight_KB
    if smoothing_K1 is None:
        if weight_KB is not None:
            gradient *= weight_KB.unsqueeze(2)
    else:
        share_K1, hit_KB = smoothing_K1 / classes, hit_KB * (1.0 - smoothing_K1)
        even_KC = share_K1.expand(-1, classes)
        if weight_KC is not None:
            even_KC = weight_KC * share_K1
            gradient *= (hit_KB + smoothing_K1 * (_sum(weight_KC) / classes)).unsqueeze(2)
            log_p = log_p * F.pad(weight_KC, (0, log_p.shape[2] - classes), value=1.0).unsqueeze(1)
        smooth_KB = loss_KB * (1.0 - smoothing_K1) + log_p[..., :classes].sum(2) * share_K1
        # 0 * -inf: a class of probability zero must not touch a lane without smoothing
        loss_KB = torch.where(smoothing_K1 > 0, smooth_KB, loss_KB)
        gradient[..., :classes] -= even_KC.unsqueeze(1)
    gradient.scatter_add_(2, target_KB1, -hit_KB.unsqueeze(2)).mul_(1.0 / batch)
    return -loss_KB.mean(1), gradient[..., : outputs_KBC.shape[2]]


def _sum(value_KN: Tensor) -> Tensor:
    """[K, 1] sum of each row, added in order. `sum` would choose the order by the number of rows."""
    return value_KN.cumsum(1)[:, -1:]


def mixed_loss(
    outputs_KBC: Tensor, classes: int, y: Mixed, smoothing_K1: Tensor | None, weight_KC: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """As `training_loss`, with the losses of both targets in the shares in which inputs were mixed."""
    loss_K, gradient = training_loss(outputs_KBC, classes, y.first, smoothing_K1, weight_KC)
    others_K, other = training_loss(outputs_KBC, classes, y.second, smoothing_K1, weight_KC)
    alone_K, share_K11 = y.share == 1.0, y.share.view(-1, 1, 1)
    loss_K = torch.where(alone_K, loss_K, loss_K * y.share + others_K * (1.0 - y.share))
    mixed = gradient * share_K11 + other * (1.0 - share_K11)
    return loss_K, torch.where(alone_K.view(-1, 1, 1), gradient, mixed)


def _whole(outputs_KBC: Tensor, classes: int) -> Tensor:
    """Logits [K, B, C rounded up to whole vectors], -inf beyond the classes."""
    have, whole = outputs_KBC.shape[2], classes + -classes % WHOLE
    if have > classes:
        outputs_KBC[..., classes:] = -math.inf
    if have < whole:
        outputs_KBC = F.pad(outputs_KBC, (0, whole - have), value=-math.inf)
    return outputs_KBC
