"""Scores of K lanes at once, from their outputs on the validation or test part. Definitions follow scikit-learn.

Parts of different size (folds differ by one example) are padded; `valid_KV` marks the real examples. A metric that is
undefined on a part, such as R2 where all targets are equal, is NaN; `hpo.data.parts.undefined` tells it from the target
alone. A lane's value does not depend, to the last bit, on how many lanes are scored with it: sums are `total`s.

Dimensions: K lanes, V examples, C classes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from hpo.training.layers.loss import loss_per_example


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Outputs and targets of a part, from which its metrics are computed."""

    outputs_KVC: Tensor
    """Logits, or [K, V, 1] standardised predictions for regression."""
    target_KV: Tensor
    """Class indices (int64) or standardised numbers."""
    valid_KV: Tensor
    """True for real examples, False for padding."""
    scale_K: Tensor
    """Unit of a standardised target in the target's own unit (1 for classes)."""

    @cached_property
    def predicted_KV(self) -> Tensor:
        """The class with the highest output."""
        return self.outputs_KVC.argmax(-1)

    @cached_property
    def confusion_KCC(self) -> Tensor:
        """Counts in float64: true class by predicted class."""
        lanes, _, classes = self.outputs_KVC.shape
        lane = torch.arange(lanes, device=self.target_KV.device).unsqueeze(1)
        cell = (lane * classes + self.target_KV) * classes + self.predicted_KV
        counts = torch.bincount(cell[self.valid_KV], minlength=lanes * classes * classes)
        return counts.view(lanes, classes, classes).double()

    def mean(self, value_KV: Tensor) -> Tensor:
        """[K] mean over the real examples, in float64."""
        return total(value_KV.double() * self.valid_KV) / self.valid_KV.sum(1)


def total(value_KN: Tensor) -> Tensor:
    """[K] sum of each row in float64, added in order. `sum` would choose the order by the number of rows and their
    place in memory, and so round differently."""
    return value_KN.cumsum(1, dtype=torch.float64)[:, -1]


def loss(o: Outcome) -> Tensor:
    """Cross entropy in nats, or mean squared error of the standardised target."""
    return o.mean(loss_per_example(o.outputs_KVC, o.target_KV))


def accuracy(o: Outcome) -> Tensor:
    """Share of examples classified rightly."""
    return o.mean(o.predicted_KV == o.target_KV)


def balanced_accuracy(o: Outcome) -> Tensor:
    """Mean recall over the classes present."""
    confusion = o.confusion_KCC
    members = confusion.sum(2)
    recall = confusion.diagonal(dim1=1, dim2=2) / members.clamp(min=1)
    return total(recall) / (members > 0).sum(1)


def macro_f1(o: Outcome) -> Tensor:
    """Mean over classes (present or predicted) of the harmonic mean of precision and recall."""
    confusion = o.confusion_KCC
    right = confusion.diagonal(dim1=1, dim2=2)
    either = confusion.sum(1) + confusion.sum(2)
    return total(2 * right / either.clamp(min=1)) / (either > 0).sum(1)


def auroc(o: Outcome) -> Tensor:
    """Area under the ROC curve; with more than two classes the mean of one against the rest, over the classes present.
    NaN where only one class is present."""
    if o.outputs_KVC.shape[-1] == 2:
        return _rank_area(o.outputs_KVC[..., 1] - o.outputs_KVC[..., 0], o.target_KV == 1, o.valid_KV)
    probability = o.outputs_KVC.double().softmax(-1)
    areas = [_rank_area(probability[..., c], o.target_KV == c, o.valid_KV) for c in range(probability.shape[-1])]
    area_KC = torch.stack(areas, dim=1)
    return total(area_KC.nan_to_num()) / (~area_KC.isnan()).sum(1)


def rmse(o: Outcome) -> Tensor:
    """Root of the mean squared error, in the target's unit."""
    return o.mean(_error(o).square()).sqrt() * o.scale_K


def mae(o: Outcome) -> Tensor:
    """Mean absolute error, in the target's unit."""
    return o.mean(_error(o).abs()) * o.scale_K


def r2(o: Outcome) -> Tensor:
    """Share of the target's variance that is explained; NaN where all targets are equal."""
    highest = o.target_KV.masked_fill(~o.valid_KV, -torch.inf).amax(1)
    lowest = o.target_KV.masked_fill(~o.valid_KV, torch.inf).amin(1)
    spread = o.target_KV.double() - o.mean(o.target_KV).unsqueeze(1)
    value = 1 - o.mean(_error(o).square()) / o.mean(spread.square())
    return value.masked_fill(highest == lowest, torch.nan)


METRICS: dict[str, Callable[[Outcome], Tensor]] = {
    "loss": loss,
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "macro_f1": macro_f1,
    "auroc": auroc,
    "rmse": rmse,
    "mae": mae,
    "r2": r2,
}


def names_for(task: str, objective: str) -> tuple[str, ...]:
    """Names of the metrics that are recorded every epoch: the usual ones of the task, and the objective. auroc is slow,
    so it is computed as the objective only."""
    usual = ("rmse", "mae", "r2") if task == "regression" else ("accuracy", "balanced_accuracy", "macro_f1")
    return tuple(dict.fromkeys(("loss", *usual, objective)))


def score(outcome: Outcome, names: tuple[str, ...]) -> dict[str, list[float]]:
    """Each metric of every lane."""
    return {name: METRICS[name](outcome).tolist() for name in names}


def _error(o: Outcome) -> Tensor:
    return o.outputs_KVC.squeeze(-1).double() - o.target_KV.double()


def _rank_area(score_KV: Tensor, positive_KV: Tensor, valid_KV: Tensor) -> Tensor:
    """Mann-Whitney statistic with ties counted half; NaN where a class is absent."""
    score = score_KV.double().masked_fill(~valid_KV, -torch.inf)
    ordered = score.sort(dim=1).values
    below = torch.searchsorted(ordered, score, right=False).double()
    up_to = torch.searchsorted(ordered, score, right=True).double()
    padding = (~valid_KV).sum(1, keepdim=True)
    rank = (below + up_to + 1) / 2 - padding
    chosen = positive_KV & valid_KV
    positives = chosen.sum(1).double()
    negatives = valid_KV.sum(1).double() - positives
    area = total(rank * chosen) - positives * (positives + 1) / 2
    return area / (positives * negatives)
