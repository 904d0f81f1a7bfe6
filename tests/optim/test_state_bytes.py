"""The bytes of an optimizer's state that a trial notes are those that PyTorch's own optimizer holds; it has
no lion."""

from __future__ import annotations

import pytest
import torch

from hpo.optim.coefficients import state_bytes
from hpo.studyfile.records import Lion, Optimizer
from tests.optim.test_rules import OPTIMIZERS, reference


@pytest.mark.parametrize("optimizer", [one for one in OPTIMIZERS if not isinstance(one, Lion)], ids=repr)
def test_it_is_within_a_hundredth(optimizer: Optimizer) -> None:
    module = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64))
    plain = reference(optimizer, list(module.parameters()))
    module(torch.ones(2, 64)).sum().backward()
    plain.step()
    held = sum(
        tensor.numel() * tensor.element_size()
        for state in plain.state.values()
        for tensor in state.values()
        if isinstance(tensor, torch.Tensor)
    )
    shapes = [tuple(weights.shape) for weights in module.parameters()]
    assert state_bytes(optimizer, shapes) == pytest.approx(held, rel=0.01)
