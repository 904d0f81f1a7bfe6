"""The rules on CPU step like `torch.optim`, like the common formula, and each lane as if it were alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from hpo.optim import fused
from hpo.optim.coefficients import initial_v
from hpo.studyfile.records import Adafactor, Adam, Nadam, Optimizer, Sgd
from tests.optim.test_rules import NAMES, OPTIMIZERS, STEPS, gradient, plain_run, reference, start
from tests.optim.test_rules import run as run_formula


def run(
    optimizers: list[Optimizer],
    lanes: list[int],
    *,
    dtype: torch.dtype = torch.float64,
    size: int = 37,
    done: list[int] | None = None,
) -> Tensor:
    """Parameters after 20 steps; `lanes` seeds the starts."""
    theta = torch.stack([start(lane, dtype, size) for lane in lanes])
    m, found = torch.zeros_like(theta), torch.zeros_like(theta)
    v = m + torch.tensor([[initial_v(o)] for o in optimizers], dtype=dtype)
    rates = np.array([[o.learning_rate for o in optimizers]] * STEPS)
    update = fused.updater(optimizers, theta, found, m, v, rates, done or [0] * len(lanes), [(0, (size,))])
    for step in range(STEPS):
        found.copy_(gradient(theta))
        update(step)
    return theta


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=NAMES)
def test_a_rule_steps_like_its_namesake_in_torch(optimizer: Optimizer) -> None:
    torch.testing.assert_close(run([optimizer], [0])[0], plain_run(optimizer), rtol=0, atol=1e-12)


@pytest.mark.parametrize("done", [0, 3, 123_456])
def test_all_rules_step_like_the_common_formula(done: int) -> None:
    lanes = list(range(len(OPTIMIZERS)))
    begun = [done] * len(lanes)
    expected = run_formula(OPTIMIZERS, lanes, begun=begun)
    torch.testing.assert_close(run(OPTIMIZERS, lanes, done=begun), expected, rtol=0, atol=1e-6 if done else 1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [1, 37, 4001])
def test_a_lane_among_all_other_rules_equals_it_alone_bit_for_bit(dtype: torch.dtype, size: int) -> None:
    everything = [*OPTIMIZERS, Adafactor(name="adafactor"), Adafactor(name="adafactor", beta2_decay=-0.3)]
    together = run(everything, list(range(len(everything))), dtype=dtype, size=size)
    for lane, optimizer in enumerate(everything):
        assert torch.equal(together[lane], run([optimizer], [lane], dtype=dtype, size=size)[0]), repr(optimizer)


def test_lanes_with_one_rule_that_has_no_kernel_equal_each_alone_bit_for_bit() -> None:
    nadam = [Nadam(name="nadam", learning_rate=0.01 * (1 + lane), momentum_decay=0.01 * lane) for lane in range(5)]
    together = run(list(nadam), list(range(5)), dtype=torch.float32, done=[0, 3, 50, 7, 0])
    for lane, done in enumerate([0, 3, 50, 7, 0]):
        assert torch.equal(together[lane], run([nadam[lane]], [lane], dtype=torch.float32, done=[done])[0])


def test_a_diverged_lane_stays_alone_with_its_trouble() -> None:
    wild = Sgd(name="sgd", learning_rate=1e300)
    together = run([wild, *OPTIMIZERS, wild], [99, *range(len(OPTIMIZERS)), 98])
    assert not together[[0, -1]].isfinite().any()
    assert torch.equal(together[1:-1], run(OPTIMIZERS, list(range(len(OPTIMIZERS)))))


def test_a_changing_rate_acts_at_its_own_step() -> None:
    optimizer = Adam(name="adam", learning_rate=1.0)
    rates = np.array([[0.01 * (step + 1)] for step in range(STEPS)])
    theta, plain = start(0).unsqueeze(0), start(0).requires_grad_()
    m, v, found = (torch.zeros_like(theta) for _ in range(3))
    update = fused.updater([optimizer], theta, found, m, v, rates, [0], [])
    torch_optimizer = reference(optimizer, [plain])
    for step in range(STEPS):
        found.copy_(gradient(theta))
        update(step)
        torch_optimizer.param_groups[0]["lr"] = rates[step, 0]
        plain.grad = gradient(plain.detach())
        torch_optimizer.step()
    torch.testing.assert_close(theta[0], plain.detach(), rtol=0, atol=1e-12)
