"""Metrics of many lanes at once equal scikit-learn's of each alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from hpo.data.parts.undefined import why_undefined
from hpo.studyfile.records import CLASSIFICATION_METRICS, REGRESSION_METRICS
from hpo.training.metrics import METRICS, Outcome, names_for, score


def classification(classes: int, padded: int) -> Outcome:
    generator = torch.Generator().manual_seed(classes)
    outputs = torch.randn(4, 60, classes, generator=generator).mul(2).round().div(2)
    target = torch.randint(0, classes, (4, 60), generator=generator)
    valid = torch.ones(4, 60, dtype=torch.bool)
    valid[1:, 60 - padded :] = False
    return Outcome(
        outputs_KVC=outputs,
        target_KV=target,
        valid_KV=valid,
        scale_K=torch.ones(4, dtype=torch.float64),
        positive=0,
    )


def calibration_error(y: Any, z: torch.Tensor) -> float:
    """In bins of the probability of the predicted class, by its definition."""
    p = z.double().softmax(1).numpy()
    sure, right = p.max(1), p.argmax(1) == y
    ends = np.arange(16) / 15
    inside = [(sure > low) & (sure <= high) for low, high in pairwise(ends)]
    assert sum(map(sum, inside)) == len(y)
    return sum(abs(right[here].mean() - sure[here].mean()) * here.mean() for here in inside if here.any())


def precision(y: Any, z: torch.Tensor) -> float:
    """Of the first of two classes, and the mean over more."""
    if z.shape[1] == 2:
        return float(sk.average_precision_score(y == 0, (z[:, 0] - z[:, 1]).numpy()))
    return float(sk.average_precision_score(np.eye(z.shape[1])[y], z.double().softmax(1).numpy()))


EXPECTED: dict[str, Any] = {
    "min_recall": lambda y, z: sk.recall_score(y, z.argmax(1), average=None).min(),
    "f1": lambda y, z: sk.f1_score(y, z.argmax(1), **({"pos_label": 0} if z.shape[1] == 2 else {"average": "macro"})),
    "average_precision": precision,
    "ece": calibration_error,
    "accuracy": lambda y, z: sk.accuracy_score(y, z.argmax(1)),
    "balanced_accuracy": lambda y, z: sk.balanced_accuracy_score(y, z.argmax(1)),
    "macro_f1": lambda y, z: sk.f1_score(y, z.argmax(1), average="macro"),
    "loss": lambda y, z: sk.log_loss(y, z.double().softmax(1).numpy(), labels=np.arange(z.shape[1])),
    "auroc": lambda y, z: (
        sk.roc_auc_score(y, (z[:, 1] - z[:, 0]).numpy())
        if z.shape[1] == 2
        else sk.roc_auc_score(y, z.double().softmax(1).numpy(), multi_class="ovr")
    ),
}


@pytest.mark.parametrize("name", sorted(CLASSIFICATION_METRICS))
@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("padded", [0, 7])
def test_classification(name: str, classes: int, padded: int) -> None:
    outcome = classification(classes, padded)
    found = METRICS[name](outcome)
    for lane in range(4):
        real = outcome.valid_KV[lane]
        expected = EXPECTED[name](outcome.target_KV[lane][real].numpy(), outcome.outputs_KVC[lane][real])
        assert found[lane].item() == pytest.approx(expected, abs=1e-6), name


def test_regression_in_the_targets_unit() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(3, 40, generator=generator)
    outputs = target.unsqueeze(-1) + 0.3 * torch.randn(3, 40, 1, generator=generator)
    outcome = Outcome(
        outputs_KVC=outputs,
        target_KV=target,
        valid_KV=torch.ones(3, 40, dtype=torch.bool),
        scale_K=torch.tensor([5.0, 1.0, 2.0], dtype=torch.float64),
        positive=0,
    )
    for lane in range(3):
        y = target[lane].double().numpy() * outcome.scale_K[lane].item()
        z = outputs[lane, :, 0].double().numpy() * outcome.scale_K[lane].item()
        assert METRICS["rmse"](outcome)[lane].item() == pytest.approx(sk.root_mean_squared_error(y, z))
        assert METRICS["mae"](outcome)[lane].item() == pytest.approx(sk.mean_absolute_error(y, z))
        assert METRICS["median_absolute_error"](outcome)[lane].item() == pytest.approx(sk.median_absolute_error(y, z))
        assert METRICS["quantile_loss"](outcome)[lane].item() == pytest.approx(sk.mean_pinball_loss(y, z, alpha=0.9))
        assert METRICS["r2"](outcome)[lane].item() == pytest.approx(sk.r2_score(y, z))


def test_the_median_and_the_quantile_loss_leave_padding_out() -> None:
    target = torch.tensor([[3.0, 1.0, 4.0, 1.0, 5.0]] * 3)
    valid = torch.tensor([[True] * 5, [True] * 4 + [False], [True] * 3 + [False] * 2])
    outcome = Outcome(
        outputs_KVC=torch.zeros(3, 5, 1),
        target_KV=target,
        valid_KV=valid,
        scale_K=torch.tensor([1.0, 1.0, 10.0], dtype=torch.float64),
        positive=0,
    )
    assert METRICS["median_absolute_error"](outcome).tolist() == [3.0, 2.0, 30.0]
    means = [14 / 5, 9 / 4, 80 / 3]
    assert METRICS["quantile_loss"](outcome).tolist() == pytest.approx([0.9 * mean for mean in means])


def test_metrics_of_one_of_two_classes_are_of_the_rarer_one() -> None:
    """Of the training part; what the part that is scored has does not matter."""
    target = torch.tensor([[0, 0, 0, 1]])
    outputs = torch.stack([torch.tensor([[2.0, 2.0, 0.0, 0.0]]), torch.ones(1, 4)], dim=-1)
    first, second = (
        Outcome(
            outputs_KVC=outputs,
            target_KV=target,
            valid_KV=torch.ones(1, 4, dtype=torch.bool),
            scale_K=torch.ones(1, dtype=torch.float64),
            positive=positive,
        )
        for positive in (0, 1)
    )
    assert [METRICS["f1"](o).item() for o in (first, second)] == pytest.approx([0.8, 2 / 3])
    found = [METRICS["average_precision"](o).item() for o in (first, second)]
    assert found == pytest.approx([(1 + 1 + 3 / 4) / 3, 0.5])


def test_every_metric_of_a_study_file_is_there() -> None:
    assert set(METRICS) == CLASSIFICATION_METRICS | REGRESSION_METRICS
    assert "auroc" not in names_for("classification", "accuracy")
    assert "auroc" in names_for("classification", "auroc")


def drawn(generator: torch.Generator, regression: bool, parts: int) -> tuple[Outcome, torch.Tensor]:
    """32 lanes, and which of some parts each of them has."""

    def between(low: int, high: int) -> int:
        return int(torch.randint(low, high, (1,), generator=generator))

    examples, classes = between(2, 400), 1 if regression else between(2, 30)
    outputs = 4 * torch.randn(32, examples, classes, generator=generator)
    if between(0, 3) == 0:
        outputs = outputs.round()  # many ties
    if regression:
        target = torch.randn(parts, examples, generator=generator)
    else:
        target = torch.randint(0, classes, (parts, examples), generator=generator)
    valid = torch.ones(parts, examples, dtype=torch.bool)
    valid[-1, examples - between(0, 2) :] = False
    scale = torch.rand(parts, generator=generator, dtype=torch.float64)
    return (
        Outcome(outputs_KVC=outputs, target_KV=target, valid_KV=valid, scale_K=scale, positive=between(0, 2)),
        torch.randint(0, parts, (32,), generator=generator),
    )


def lanes_of(whole: Outcome, part: torch.Tensor, lanes: torch.Tensor) -> Outcome:
    """Some lanes as a cohort scores them: a part that all share is there once."""
    chosen = part[lanes]
    chosen = chosen[:1] if len(chosen.unique()) == 1 else chosen
    outputs = whole.outputs_KVC[lanes]
    shape = outputs.shape[:2]
    return Outcome(
        outputs_KVC=outputs,
        target_KV=whole.target_KV[chosen].expand(shape),
        valid_KV=whole.valid_KV[chosen].expand(shape),
        scale_K=whole.scale_K[chosen].expand(shape[0]),
        positive=whole.positive,
    )


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("regression", [False, True])
def test_no_value_depends_on_the_number_of_lanes(regression: bool, parts: int) -> None:
    """To the last bit, whatever the other lanes are."""
    generator = torch.Generator().manual_seed(parts)
    names = tuple(sorted(REGRESSION_METRICS if regression else CLASSIFICATION_METRICS))
    for _ in range(20):
        whole, part = drawn(generator, regression, parts)
        expected = score(lanes_of(whole, part, torch.arange(32)), names)
        for count in (1, 2, 3, 5, 8):
            lanes = torch.randperm(32, generator=generator)[:count]
            found = score(lanes_of(whole, part, lanes), names)
            for name in names:
                np.testing.assert_array_equal(found[name], np.array(expected[name])[lanes.numpy()], err_msg=name)


TARGETS: dict[str, list[list[float]]] = {
    "classification": [[0, 0, 0], [2, 2], [1], [0, 1], [0, 1, 2, 2], [2, 0, 2]],
    "regression": [[0.1, 0.1, 0.1], [-2.5], [0.1, 0.2], [0.0, 0.0, 1e-30], [1e9, 1e9], [3.0, 4.0, 5.0]],
}


@pytest.mark.parametrize("task", sorted(TARGETS))
def test_a_metric_is_undefined_where_the_target_says_so(task: str) -> None:
    """NaN and never an infinity, among other lanes and with padding; whatever is predicted."""
    regression = task == "regression"
    for values in TARGETS[task]:
        target = torch.tensor([values + [7.0] * 2], dtype=torch.float32 if regression else torch.int64)
        if not regression:
            target[0, -2:] = 0
        outputs = torch.randn(3, target.shape[1], 1 if regression else 3)
        outputs[1] = 0.5
        valid = torch.tensor([[True] * len(values) + [False] * 2]).expand(3, -1)
        outcome = Outcome(
            outputs_KVC=outputs,
            target_KV=target.expand(3, -1),
            valid_KV=valid,
            scale_K=torch.ones(3, dtype=torch.float64),
            positive=1,
        )
        for name in REGRESSION_METRICS if regression else CLASSIFICATION_METRICS:
            found = METRICS[name](outcome)
            none = why_undefined(name, target[0, : len(values)].numpy()) is not None
            assert found.isnan().tolist() == [none] * 3, (name, values)
            assert not found.isinf().any()
