"""The ensemble of a trial's models, trained on its folds and repeats: how their outputs are averaged and scored.

The winner and the baselines are scored, and an export predicts, with these functions.

Dimensions: M models, N examples, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from hpo.data.dataset import Task
from hpo.studyfile.records import CLASSIFICATION_METRICS, REGRESSION_METRICS
from hpo.training import metrics

Scores = dict[str, float | None]
"""Metrics by name; None where one is undefined."""
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


def metrics_of(task: Task) -> tuple[str, ...]:
    """Names of all metrics that a part is scored by."""
    return tuple(sorted(REGRESSION_METRICS if task == "regression" else CLASSIFICATION_METRICS))


def measured(
    outputs_NC: Tensor, target_N: Tensor, scale: float, positive: int, names: tuple[str, ...]
) -> dict[str, float]:
    """Metrics of one model's outputs, [N, C], on a part. `scale`: unit of a standardised target in its own unit;
    `positive`: as in `metrics.Outcome`."""
    outcome = metrics.Outcome(
        outputs_KVC=outputs_NC.unsqueeze(0),
        target_KV=target_N.unsqueeze(0),
        valid_KV=torch.ones(1, len(target_N), dtype=torch.bool),
        scale_K=torch.tensor([scale], dtype=torch.float64),
        positive=positive,
    )
    return {name: values[0] for name, values in metrics.score(outcome, names).items()}


def defined(scores: Mapping[str, float]) -> Scores:
    """The scores with None in the place of those that are undefined."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}
