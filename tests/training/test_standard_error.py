"""The standard error of a score, from parts drawn from the examples, beside what theory says."""

from __future__ import annotations

import math

import pytest
import torch

from hpo.training.ensemble import Scored, standard_error


def classified(count: int, right: float) -> Scored:
    """Two classes in turn, of which so large a share is predicted rightly."""
    target_N = torch.arange(count) % 2
    wrong_N = torch.linspace(0, 1, count) > right
    outputs_NC = torch.nn.functional.one_hot(target_N ^ wrong_N, 2).double() * 3
    return Scored(outputs_NC=outputs_NC, target_N=target_N, scale=1.0)


def predicted(count: int, scale: float = 2.0) -> Scored:
    """Numbers with normal errors of 0.5 times the scale."""
    draws = torch.Generator().manual_seed(1)
    target_N = torch.randn(count, generator=draws)
    outputs_NC = (target_N + 0.5 * torch.randn(count, generator=draws)).unsqueeze(1)
    return Scored(outputs_NC=outputs_NC, target_N=target_N, scale=scale)


@pytest.mark.parametrize(("count", "right"), [(100, 0.9), (400, 0.7), (100_000, 0.8)])
def test_of_an_accuracy_it_is_the_binomial_one(count: int, right: float) -> None:
    found = standard_error([classified(count, right)], 1, "accuracy")
    assert found == pytest.approx(math.sqrt(right * (1 - right) / count), rel=0.35)


def test_of_an_error_it_is_that_of_normal_errors() -> None:
    assert standard_error([predicted(500)], 1, "rmse") == pytest.approx(1.0 / math.sqrt(2 * 500), rel=0.35)


@pytest.mark.parametrize("name", ["loss", "auroc", "f1", "macro_f1", "min_recall", "average_precision", "ece"])
def test_every_metric_of_classes_has_one(name: str) -> None:
    found = standard_error([classified(200, 0.8), classified(200, 0.7)], 1, name)
    assert found is not None
    assert 0 < found < 0.2


@pytest.mark.parametrize("name", ["loss", "rmse", "mae", "r2", "median_absolute_error", "quantile_loss"])
def test_every_metric_of_numbers_has_one(name: str) -> None:
    found = standard_error([predicted(200), predicted(200, scale=3.0)], 0, name)
    assert found is not None
    assert 0 < found < 0.5


def test_it_is_the_same_each_time() -> None:
    assert standard_error([predicted(50)], 0, "r2") == standard_error([predicted(50)], 0, "r2")


def test_there_is_none_of_what_is_undefined() -> None:
    constant = Scored(outputs_NC=torch.zeros(20, 1), target_N=torch.zeros(20), scale=1.0)
    assert standard_error([constant], 0, "r2") is None
    assert standard_error([predicted(9)], 0, "rmse") is None
