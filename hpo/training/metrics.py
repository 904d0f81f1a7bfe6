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

from hpo.studyfile.records import METRICS as NAMES
from hpo.training.layers.loss import loss_per_example

BINS = 15
"""Bins of `ece`."""
LEVEL = 0.9
"""Level of `quantile_loss`."""


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
    positive: int
    """Of two classes the one that `f1` and `average_precision` are of."""

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

    @cached_property
    def probability_KVC(self) -> Tensor:
        """Probabilities of the classes, in float64."""
        return self.outputs_KVC.double().softmax(-1)

    @property
    def two(self) -> bool:
        """Whether there are two classes."""
        return self.outputs_KVC.shape[-1] == 2

    def score_KV(self, c: int) -> Tensor:
        """Values by which examples are ranked as members of a class, in float64: the probability, or of two classes
        the difference of the outputs, which stays apart where probabilities round to 0 or 1."""
        if self.two:
            return (self.outputs_KVC[..., c] - self.outputs_KVC[..., 1 - c]).double()
        return self.probability_KVC[..., c]

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
    recall_KC = _recall(o)
    return total(recall_KC.nan_to_num()) / (~recall_KC.isnan()).sum(1)


def min_recall(o: Outcome) -> Tensor:
    """Recall of the class, of those present, that is recognised worst."""
    return _recall(o).nan_to_num(torch.inf).amin(1)


def f1(o: Outcome) -> Tensor:
    """Of two classes, the harmonic mean of precision and recall of the rarer one (`Outcome.positive`); of more,
    `macro_f1`. NaN where only one class is present."""
    value_K = _f1(o)[:, o.positive] if o.two else macro_f1(o)
    return value_K.masked_fill(_one_class(o), torch.nan)


def macro_f1(o: Outcome) -> Tensor:
    """Mean over classes (present or predicted) of the harmonic mean of precision and recall."""
    value_KC = _f1(o)
    return total(value_KC.nan_to_num()) / (~value_KC.isnan()).sum(1)


def auroc(o: Outcome) -> Tensor:
    """Area under the ROC curve; with more than two classes the mean of one against the rest, over the classes present.
    NaN where only one class is present."""
    return _over_classes(o, _rank_area, 1)


def average_precision(o: Outcome) -> Tensor:
    """Mean, over the examples of a class, of the precision among the examples that are ranked as high or higher: the
    area under the curve of precision by recall. Of two classes, of the rarer one (`Outcome.positive`); of more, the
    mean over the classes present. NaN where only one class is present."""
    return _over_classes(o, _mean_precision, o.positive).masked_fill(_one_class(o), torch.nan)


def ece(o: Outcome) -> Tensor:
    """Expected calibration error (Guo et al. 2017): the difference between the share of right answers and the mean
    probability of the predicted class, in 15 bins of that probability of equal width, (0, 1/15] to (14/15, 1]; the
    mean over the examples of the absolute differences."""
    sure_KV = o.probability_KVC.gather(-1, o.predicted_KV.unsqueeze(-1)).squeeze(-1)
    gap_KV = (sure_KV - (o.predicted_KV == o.target_KV).double()) * o.valid_KV
    bin_KV = (sure_KV * BINS).ceil().clamp(max=BINS)
    gaps = [total(gap_KV * (bin_KV == b)).abs() for b in range(1, BINS + 1)]
    return total(torch.stack(gaps, dim=1)) / o.valid_KV.sum(1)


def rmse(o: Outcome) -> Tensor:
    """Root of the mean squared error, in the target's unit."""
    return o.mean(_error(o).square()).sqrt() * o.scale_K


def mae(o: Outcome) -> Tensor:
    """Mean absolute error, in the target's unit."""
    return o.mean(_error(o).abs()) * o.scale_K


def median_absolute_error(o: Outcome) -> Tensor:
    """Median of the absolute error, in the target's unit; the mean of the two in the middle of an even number."""
    ordered_KV = _error(o).abs().masked_fill(~o.valid_KV, torch.inf).sort(dim=1).values
    count_K1 = o.valid_KV.sum(1, keepdim=True)
    middle = [ordered_KV.gather(1, place) for place in ((count_K1 - 1) // 2, count_K1 // 2)]
    return (middle[0] + middle[1]).squeeze(1) / 2 * o.scale_K


def quantile_loss(o: Outcome) -> Tensor:
    """Mean pinball loss at the level 0.9, in the target's unit: an error counts 0.9 times where the prediction is too
    low and 0.1 times where it is too high."""
    short_KV = -_error(o)
    return o.mean(torch.maximum(LEVEL * short_KV, (LEVEL - 1) * short_KV)) * o.scale_K


def r2(o: Outcome) -> Tensor:
    """Share of the target's variance that is explained; NaN where all targets are equal."""
    highest = o.target_KV.masked_fill(~o.valid_KV, -torch.inf).amax(1)
    lowest = o.target_KV.masked_fill(~o.valid_KV, torch.inf).amin(1)
    spread = o.target_KV.double() - o.mean(o.target_KV).unsqueeze(1)
    value = 1 - o.mean(_error(o).square()) / o.mean(spread.square())
    return value.masked_fill(highest == lowest, torch.nan)


METRICS: dict[str, Callable[[Outcome], Tensor]] = {name: globals()[name] for name in NAMES}
"""The function of this module by the name of its metric."""


def names_for(task: str, *objectives: str) -> tuple[str, ...]:
    """Names of the metrics that are recorded every epoch: the usual ones of the task, and those among the objectives.
    The others are computed on the test part only: some are slow."""
    usual = ("rmse", "mae", "r2") if task == "regression" else ("accuracy", "balanced_accuracy", "macro_f1")
    return tuple(dict.fromkeys(("loss", *usual, *(name for name in objectives if name in METRICS))))


def score(outcome: Outcome, names: tuple[str, ...]) -> dict[str, list[float]]:
    """Each metric of every lane."""
    return {name: METRICS[name](outcome).tolist() for name in names}


def _error(o: Outcome) -> Tensor:
    return o.outputs_KVC.squeeze(-1).double() - o.target_KV.double()


def _recall(o: Outcome) -> Tensor:
    """[K, C] recall of each class; NaN where it is absent."""
    return o.confusion_KCC.diagonal(dim1=1, dim2=2) / o.confusion_KCC.sum(2)


def _f1(o: Outcome) -> Tensor:
    """[K, C] harmonic mean of precision and recall; NaN for a class that is neither present nor predicted."""
    return 2 * o.confusion_KCC.diagonal(dim1=1, dim2=2) / (o.confusion_KCC.sum(1) + o.confusion_KCC.sum(2))


def _one_class(o: Outcome) -> Tensor:
    """[K] whether all examples are of one class."""
    return (o.confusion_KCC.sum(2) > 0).sum(1) == 1


def _over_classes(o: Outcome, of_class: Callable[[Tensor, Tensor, Tensor], Tensor], of_two: int) -> Tensor:
    """Mean of a metric of one class over the classes where it is defined; of two classes, that of class `of_two`."""
    classes = [of_two] if o.two else range(o.outputs_KVC.shape[-1])
    values = [of_class(o.score_KV(c), o.target_KV == c, o.valid_KV) for c in classes]
    value_KC = torch.stack(values, dim=1)
    return total(value_KC.nan_to_num()) / (~value_KC.isnan()).sum(1)


def _mean_precision(score_KV: Tensor, positive_KV: Tensor, valid_KV: Tensor) -> Tensor:
    """Mean precision at the positive examples, among the examples with the same score or a higher one; NaN where there
    is none."""
    score = score_KV.masked_fill(~valid_KV, -torch.inf)
    chosen = positive_KV & valid_KV
    found = []
    for those in (chosen, valid_KV):
        ordered = score.masked_fill(~those, -torch.inf).sort(dim=1).values
        found.append(score.shape[1] - torch.searchsorted(ordered, score, right=False).double())
    precision = (found[0] / found[1]).masked_fill(~chosen, 0)
    return total(precision) / chosen.sum(1)


def _rank_area(score_KV: Tensor, positive_KV: Tensor, valid_KV: Tensor) -> Tensor:
    """Mann-Whitney statistic with ties counted half; NaN where a class is absent."""
    score = score_KV.masked_fill(~valid_KV, -torch.inf)
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
