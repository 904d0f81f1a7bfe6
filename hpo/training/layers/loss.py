"""The loss of K lanes: per example for scores, and with its gradient for training.

Cross entropy with label smoothing (Szegedy et al. 2016), or the squared error of a number. Classes are padded to whole
vectors: that is several times as fast on CPU for few classes, and the scalar code for a remainder, which rounds
differently, is never used.

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

    def __getitem__(self, step: int) -> Mixed:
        """The targets of one of several steps, which are the first dimension."""
        return Mixed(first=self.first[step], second=self.second[step], share=self.share[step])


def loss_per_example(outputs_KBC: Tensor, y_KB: Tensor) -> Tensor:
    """[K, B]: cross entropy for class targets (int64), squared error for numbers."""
    if y_KB.dtype.is_floating_point:
        return (outputs_KBC.squeeze(-1) - y_KB).square()
    return -_whole(outputs_KBC, outputs_KBC.shape[2]).log_softmax(2).gather(2, y_KB.unsqueeze(2)).squeeze(2)


def training_loss(
    outputs_KBC: Tensor, classes: int, y_KB: Tensor, smoothing_K1: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Mean loss [K] of the batch and its gradient with respect to the outputs [K, B, C].

    Outputs beyond the model's `classes` are ignored and get no gradient; they may be overwritten. `smoothing_K1`: label
    smoothing; None if no lane has any. It has no effect on regression.
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
    if smoothing_K1 is None:
        loss_K = -likelihood_KB.mean(1)
        hit = likelihood_KB.new_full(target_KB1.shape, -1.0)
    else:
        even_KB = log_p[..., :classes].sum(2) * (smoothing_K1 / classes)
        # 0 * -inf: a class of probability zero must not touch a lane without smoothing
        smooth_KB = torch.where(smoothing_K1 > 0, likelihood_KB * (1.0 - smoothing_K1) + even_KB, likelihood_KB)
        loss_K = -smooth_KB.mean(1)
        gradient[..., :classes] -= (smoothing_K1 / classes).unsqueeze(2)
        hit = (smoothing_K1 - 1.0).unsqueeze(2).expand(target_KB1.shape)
    gradient.scatter_add_(2, target_KB1, hit).mul_(1.0 / batch)
    return loss_K, gradient[..., : outputs_KBC.shape[2]]


def mixed_loss(outputs_KBC: Tensor, classes: int, y: Mixed, smoothing_K1: Tensor | None) -> tuple[Tensor, Tensor]:
    """As `training_loss`, with the losses of both targets in the shares in which inputs were mixed."""
    loss_K, gradient = training_loss(outputs_KBC, classes, y.first, smoothing_K1)
    others_K, other = training_loss(outputs_KBC, classes, y.second, smoothing_K1)
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
