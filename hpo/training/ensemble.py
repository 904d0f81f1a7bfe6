"""The ensemble of a trial's models, trained on its folds and repeats: how their outputs are averaged.

The winner is scored, and an export predicts, with these functions.

Dimensions: M models, N examples, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BATCH = 4096
"""Examples in one pass; bounds the memory of a convolution."""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class ModelOutputs:
    """One model's outputs for the examples."""

    outputs_NC: Tensor
    """Logits, or [N, 1] standardised predictions."""
    scale: float
    """Of a standardised target: prediction = output * scale + offset. 1 and 0 for classes."""
    offset: float


@torch.no_grad()
def outputs(module: nn.Module, x: Tensor) -> Tensor:
    """[N, C] outputs of a model, which must be in evaluation mode."""
    found: Tensor = torch.cat([module(batch) for batch in x.split(BATCH)])
    return found


def log_probabilities(answers: Sequence[ModelOutputs]) -> Tensor:
    """[N, C] logarithm of the mean over the models of the probabilities, in float64."""
    each_MNC = torch.stack([answer.outputs_NC.double().log_softmax(1) for answer in answers])
    return each_MNC.logsumexp(0) - math.log(len(answers))


def numbers(answers: Sequence[ModelOutputs]) -> Tensor:
    """[N] mean over the models of the predictions, in the target's unit and in float64."""
    each = [answer.outputs_NC.squeeze(1).double() * answer.scale + answer.offset for answer in answers]
    return torch.stack(each).mean(0)
