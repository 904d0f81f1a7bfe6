"""Operations of a model beside those that follow from its layers' sizes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from hpo import models
from hpo.models.flops import flops
from hpo.signature import Signature
from tests.models.test_build import config

GATES = {"gru": 3, "lstm": 4, "rnn": 1}


def of(shape: tuple[int, ...], outputs: int, **tables: object) -> int | None:
    signature = Signature.of_values(*shape)
    return flops(models.build(config(**tables), signature, outputs), signature)


def test_a_perceptron_multiplies_and_adds_its_weights_once() -> None:
    expected = 2 * (64 * 8 + 8 * 12 + 12 * 10)
    assert of((64,), 10) == expected
    assert of((64,), 10, norm={"kind": "batch"}, dropout={"p": 0.5}) == expected, "what is done to each number is free"


def test_a_convolution_multiplies_its_weights_at_every_pixel() -> None:
    expected = 2 * (9 * 3 * 4 * 8 * 8 + 9 * 4 * 8 * 4 * 4 + 8 * 2 * 2 * 6 + 6 * 10)
    assert of((3, 8, 8), 10, family="cnn", model={"channels": [4, 8], "hidden": [6], "kernel": 3}) == expected


@pytest.mark.parametrize("cell", GATES)
def test_a_recurrent_layer_multiplies_its_weights_at_every_step(cell: str) -> None:
    steps, features, units = 7, 3, 5
    model = {"cell": cell, "width": units, "layers": 1, "hidden": []}
    found = of((steps, features), 2, family="recurrent", model=model)
    assert found == 2 * (steps * GATES[cell] * units * (features + units) + units * 2)


def test_counting_leaves_the_model_and_random_numbers_as_they_were() -> None:
    signature = Signature.of_values(64)
    module = models.build(config(dropout={"p": 0.5}, norm={"kind": "batch"}), signature, 10)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    torch.manual_seed(0)
    first = torch.rand(3)
    torch.manual_seed(0)
    flops(module, signature)
    assert torch.equal(torch.rand(3), first)
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_module_that_does_not_run_is_not_counted() -> None:
    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise ValueError("wants other values")

    assert flops(Broken(), Signature.of_values(4)) is None
