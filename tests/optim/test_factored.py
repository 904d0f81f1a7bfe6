"""Adafactor steps like its namesake in `torch.optim`, for tensors of every kind, and each lane as if it were alone."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest
import torch
from torch import Tensor

from hpo.optim import fused
from hpo.optim.coefficients import state_bytes
from hpo.studyfile.records import Adafactor, Optimizer, Sgd

SHAPES: list[tuple[int, ...]] = [(12, 7), (12,), (1, 5), (8, 1), (), (4, 3, 3, 3), (6, 5, 1, 1), (1,), (33, 40)]
PLACES = [(start, shape) for start, shape in zip(range(0, 10_000, 1344), SHAPES, strict=False)]
"""With room between tensors, as layouts have it."""
WIDTH = 1344 * len(PLACES)
STEPS = 12
OPTIMIZERS = [
    Adafactor(name="adafactor"),
    Adafactor(name="adafactor", learning_rate=0.3, weight_decay=0.1),
    Adafactor(name="adafactor", learning_rate=0.3, beta2_decay=-0.3, eps=0.05, eps2=0.7, clip_threshold=1.5),
    Adafactor(name="adafactor", beta2_decay=0.0, learning_rate=0.02),
]


def start(lane: int, dtype: torch.dtype) -> Tensor:
    """A row [P], 0 between the tensors; one tensor begins at 0, as a bias does."""
    row, draws = torch.zeros(WIDTH, dtype=dtype), torch.Generator().manual_seed(lane)
    for number, (begin, shape) in enumerate(PLACES):
        row[begin : begin + prod(shape)] = (number != 1) * torch.randn(prod(shape), generator=draws).to(dtype)
    return row


def gradient(theta: Tensor) -> Tensor:
    """Exact operations only, so equal bits for equal theta; 0 between the tensors."""
    found = torch.zeros_like(theta)
    for begin, shape in PLACES:
        part = slice(begin, begin + prod(shape))
        found[..., part] = theta[..., part] * torch.linspace(0.1, 3.0, prod(shape), dtype=theta.dtype) + 0.125
    return found


def run(
    optimizers: list[Optimizer],
    lanes: list[int],
    dtype: torch.dtype = torch.float64,
    parts: tuple[int, ...] = (STEPS,),
) -> Tensor:
    """Parameters [K, P] after 12 steps, in several parts of as many steps."""
    theta = torch.stack([start(lane, dtype) for lane in lanes])
    m, v, found = (torch.zeros_like(theta) for _ in range(3))
    done = 0
    for steps in parts:
        rates = np.array([[o.learning_rate / (1 + step) for o in optimizers] for step in range(done, done + steps)])
        update = fused.updater(optimizers, theta, found, m, v, rates, [done] * len(lanes), PLACES)
        for step in range(steps):
            found.copy_(gradient(theta))
            update(step)
        done += steps
    return theta


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
def test_it_steps_like_its_namesake_in_torch(optimizer: Adafactor) -> None:
    row = start(0, torch.float64)
    tensors = [row[begin : begin + prod(shape)].view(shape).clone() for begin, shape in PLACES]
    plain = torch.optim.Adafactor(
        [tensor.requires_grad_() for tensor in tensors],
        beta2_decay=optimizer.beta2_decay,
        eps=(optimizer.eps, optimizer.eps2),
        d=optimizer.clip_threshold,
        weight_decay=optimizer.weight_decay,
    )
    for step in range(STEPS):
        plain.param_groups[0]["lr"] = optimizer.learning_rate / (1 + step)
        for tensor, (begin, shape) in zip(tensors, PLACES, strict=True):
            row[begin : begin + prod(shape)] = tensor.detach().flatten()
        found = gradient(row)
        for tensor, (begin, shape) in zip(tensors, PLACES, strict=True):
            tensor.grad = found[begin : begin + prod(shape)].view(shape)
        plain.step()
    (ours,) = run([optimizer], [0])
    for tensor, (begin, shape) in zip(tensors, PLACES, strict=True):
        mine = ours[begin : begin + prod(shape)].view(shape)
        torch.testing.assert_close(mine, tensor.detach(), rtol=0, atol=1e-12)
        ours[begin : begin + prod(shape)] = 0.0
    assert not ours.any(), "nothing is written between the tensors"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lanes", [2, 3, 17])
def test_a_lane_among_others_equals_it_alone_bit_for_bit(dtype: torch.dtype, lanes: int) -> None:
    alike: list[Optimizer] = [OPTIMIZERS[lane % len(OPTIMIZERS)] for lane in range(lanes)]
    together = run([*alike, Sgd(name="sgd")], list(range(lanes + 1)), dtype)
    for lane, optimizer in enumerate(alike):
        assert torch.equal(together[lane], run([optimizer], [lane], dtype)[0])


def test_steps_in_two_parts_are_those_of_one() -> None:
    assert torch.equal(run([*OPTIMIZERS], [0, 1, 2, 3], parts=(5, 7)), run([*OPTIMIZERS], [0, 1, 2, 3]))


def test_a_diverged_lane_stays_alone_with_its_trouble() -> None:
    wild = Adafactor(name="adafactor", learning_rate=1e300, eps2=1e300)
    together = run([wild, *OPTIMIZERS], [9, 0, 1, 2, 3])
    assert not together[0].isfinite().all()
    assert torch.equal(together[1:], run([*OPTIMIZERS], [0, 1, 2, 3]))


def test_it_keeps_what_torch_keeps() -> None:
    tensors = [torch.ones(shape, requires_grad=True) for shape in SHAPES]
    plain = torch.optim.Adafactor(tensors)
    for tensor in tensors:
        tensor.grad = torch.ones_like(tensor)
    plain.step()
    held = sum(
        value.numel() * value.element_size()
        for state in plain.state.values()
        for name, value in state.items()
        if name != "step"
    )
    assert state_bytes(OPTIMIZERS[0], SHAPES) == held
