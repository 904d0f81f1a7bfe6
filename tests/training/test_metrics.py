"""Metrics of many lanes at once equal scikit-learn's of each alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from hpo.spec.records import CLASSIFICATION_METRICS, REGRESSION_METRICS
from hpo.training.metrics import METRICS, Outcome, names_for


def classification(classes: int, padded: int) -> Outcome:
    generator = torch.Generator().manual_seed(classes)
    outputs = torch.randn(4, 60, classes, generator=generator).mul(2).round().div(2)
    target = torch.randint(0, classes, (4, 60), generator=generator)
    valid = torch.ones(4, 60, dtype=torch.bool)
    valid[1:, 60 - padded :] = False
    return Outcome(outputs_KVC=outputs, target_KV=target, valid_KV=valid, scale_K=torch.ones(4, dtype=torch.float64))


EXPECTED: dict[str, Any] = {
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
    )
    for lane in range(3):
        y = target[lane].double().numpy() * outcome.scale_K[lane].item()
        z = outputs[lane, :, 0].double().numpy() * outcome.scale_K[lane].item()
        assert METRICS["rmse"](outcome)[lane].item() == pytest.approx(sk.root_mean_squared_error(y, z))
        assert METRICS["mae"](outcome)[lane].item() == pytest.approx(sk.mean_absolute_error(y, z))
        assert METRICS["r2"](outcome)[lane].item() == pytest.approx(sk.r2_score(y, z))


def test_every_metric_of_a_study_file_is_there() -> None:
    assert set(METRICS) == CLASSIFICATION_METRICS | REGRESSION_METRICS
    assert "auroc" not in names_for("classification", "accuracy")
    assert "auroc" in names_for("classification", "auroc")
