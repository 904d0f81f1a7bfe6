"""The ensemble of a trial's models, trained on its folds and repeats: how their outputs are averaged and scored.

The winner and the baselines are scored, and an export predicts, with these functions.

Dimensions: M models, N examples, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import torch
from torch import Tensor, nn

from hpo.data.dataset import Task
from hpo.studyfile.records import CLASSIFICATION_METRICS, REGRESSION_METRICS
from hpo.training import metrics

Scores = dict[str, float | None]
"""Metrics by name; None where one is undefined."""
FEWEST = 10
"""Examples below which no standard error is computed."""
DRAWN = 20_000
"""Most examples of a part that is drawn for a standard error."""
WORK = 10_000_000
"""Outputs of all parts that are drawn for a standard error, unless 20 parts have more."""
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


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Scored:
    """What one model's metrics are computed from."""

    outputs_NC: Tensor
    target_N: Tensor
    scale: float
    """Unit of a standardised target in its own unit."""


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


def standard_error(models: Sequence[Scored], positive: int, name: str) -> float | None:
    """The standard error of a metric's mean over the models, from the examples that it was measured on: the standard
    deviation over parts drawn from the examples with replacement (bootstrap, Efron 1979). Of many examples, `DRAWN` are
    drawn from, and the error of as many as there are follows from the square root. None where the metric is undefined
    on most of these parts, and of fewer examples than `FEWEST`. The draws are the same in each call."""
    (count, classes), draws = models[0].outputs_NC.shape, torch.Generator().manual_seed(0)
    if count < FEWEST:
        return None
    among = torch.randperm(count, generator=draws)[:DRAWN]
    one = max(1, len(among) * classes * len(models))
    parts = max(20, min(100, WORK // one))
    means: list[float] = []
    for idx_KN in torch.randint(len(among), (parts, len(among)), generator=draws).split(max(1, WORK // 20 // one)):
        drawn_KN = among[idx_KN]
        scores = [
            metrics.score(
                metrics.Outcome(
                    outputs_KVC=model.outputs_NC[drawn_KN],
                    target_KV=model.target_N[drawn_KN],
                    valid_KV=torch.ones_like(drawn_KN, dtype=torch.bool),
                    scale_K=torch.full((len(drawn_KN),), model.scale, dtype=torch.float64),
                    positive=positive,
                ),
                (name,),
            )[name]
            for model in models
        ]
        means += [fmean(of_part) for of_part in zip(*scores, strict=True)]
    finite = [mean for mean in means if math.isfinite(mean)]
    return stdev(finite) * math.sqrt(len(among) / count) if 2 * len(finite) > parts else None


def defined(scores: Mapping[str, float]) -> Scores:
    """The scores with None in the place of those that are undefined."""
    return {name: value if math.isfinite(value) else None for name, value in scores.items()}
