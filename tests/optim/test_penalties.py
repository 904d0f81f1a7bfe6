from math import inf, nan

import pytest
import torch
from torch import Tensor, nn

from hpo.optim import penalties

K = 5


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def column(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype).unsqueeze(1)


def test_penalties_add_the_gradient_of_their_loss_on_weights_only() -> None:
    theta = numbers(K, 12).requires_grad_()
    l1, l2 = column(0.0, 0.1, 0.0, 0.3, 2.0), column(0.0, 0.0, 0.2, 0.4, 1.0)
    is_weight = torch.tensor([[True] * 9 + [False] * 3])
    weights = theta[:, :9]
    loss = (l1 * weights.abs()).sum() + (l2 * weights.square() / 2).sum()
    (expected,) = torch.autograd.grad(loss, theta)
    start = numbers(K, 12, seed=1)
    grad = start.clone()
    penalties.add_penalties_(grad, theta.detach(), is_weight, l1, l2)
    torch.testing.assert_close(grad, start + expected, rtol=0, atol=1e-14)
    assert torch.equal(grad[:, 9:], start[:, 9:])


def test_a_weight_of_zero_feels_no_penalty() -> None:
    grad = torch.zeros(1, 2)
    penalties.add_penalties_(grad, torch.tensor([[0.0, -2.0]]), torch.ones(1, 2), column(0.5).float(), None)
    assert grad.tolist() == [[0.0, -0.5]]


def test_an_absent_penalty_equals_one_of_zero() -> None:
    theta, is_weight, zero = numbers(K, 9), torch.ones(1, 9), torch.zeros(K, 1, dtype=torch.float64)
    absent, present = numbers(K, 9, seed=1), numbers(K, 9, seed=1)
    penalties.add_penalties_(absent, theta, is_weight, None, None)
    penalties.add_penalties_(present, theta, is_weight, zero, zero)
    assert torch.equal(absent, present)


def test_clipping_equals_torch() -> None:
    limits = [0.5, 3.0, 100.0, 1e-3, inf]
    grad = numbers(K, 50)
    expected, norms = [], []
    for row, limit in zip(grad, limits, strict=True):
        parameters = [nn.Parameter(torch.zeros(20).double()), nn.Parameter(torch.zeros(30).double())]
        for parameter, part in zip(parameters, row.split([20, 30]), strict=True):
            parameter.grad = part.clone()
        norms.append(nn.utils.clip_grad_norm_(parameters, min(limit, 1e300)))
        expected.append(torch.cat([p.grad for p in parameters if p.grad is not None]))
    found = penalties.clip_(grad, column(*limits))
    torch.testing.assert_close(found, torch.stack(norms), rtol=1e-13, atol=0)
    torch.testing.assert_close(grad, torch.stack(expected), rtol=1e-13, atol=0)


def test_without_a_limit_the_gradient_stays_even_where_its_norm_overflows() -> None:
    grad = torch.full((2, 3), 1e30)
    norm = penalties.clip_(grad, torch.tensor([[inf], [1.0]]))
    assert norm.tolist() == [inf, inf]
    assert grad.tolist() == [[pytest.approx(1e30)] * 3, [0.0] * 3]
    untouched = numbers(2, 3)
    assert torch.equal(penalties.clip_(untouched, None), untouched.norm(dim=1))
    assert torch.equal(untouched, numbers(2, 3))


@pytest.mark.parametrize("shape", [(6, 10), (6, 3, 3, 3)], ids=["linear", "convolution"])
def test_max_norm_equals_torch(shape: tuple[int, ...]) -> None:
    limits = [0.5, 2.0, 100.0, 3.0, inf]
    theta = numbers(K, 400)
    count = torch.Size(shape).numel()
    weight = theta[:, 7 : 7 + count].view(K, *shape)
    expected = torch.stack(
        [w.renorm(2, 0, limit) if limit < inf else w for w, limit in zip(weight.clone(), limits, strict=True)]
    )
    penalties.max_norm_(weight, column(*limits))
    torch.testing.assert_close(weight, expected, rtol=1e-12, atol=0)
    assert (weight[0].flatten(1).norm(dim=1) <= 0.5).all()
    outside = torch.ones(400, dtype=torch.bool)
    outside[7 : 7 + count] = False
    assert torch.equal(theta[:, outside], numbers(K, 400)[:, outside])


def everything(lanes: slice, theta: Tensor, grad: Tensor) -> tuple[Tensor, ...]:
    """All functions of the module on some of the lanes."""
    dtype = theta.dtype
    theta, grad = theta[lanes].clone(), grad[lanes].clone()
    values = column(0.0, 0.1, 0.2, 0.0, 0.3, 0.4, 0.5, dtype=dtype)[lanes]
    limits = column(inf, 1.0, 30.0, inf, 2.0, 0.1, 5.0, dtype=dtype)[lanes]
    weight = theta[:, 1:].view(len(theta), 10, -1)
    penalties.add_penalties_(grad, theta, torch.ones(1, theta.shape[1]), values, values)
    norm = penalties.clip_(grad, limits)
    penalties.max_norm_(weight, limits)
    return theta, grad, norm


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [71, 4001, 70001])
def test_a_lane_alone_equals_it_among_others_bit_for_bit(dtype: torch.dtype, size: int) -> None:
    theta, grad = numbers(7, size, dtype=dtype), numbers(7, size, seed=1, dtype=dtype)
    together = everything(slice(None), theta, grad)
    for lane in range(7):
        alone = everything(slice(lane, lane + 1), theta, grad)
        for one, all_ in zip(alone, together, strict=True):
            assert torch.equal(one[0], all_[lane])


@pytest.mark.parametrize("poison", [nan, inf, -inf])
def test_trouble_stays_in_its_lane(poison: float) -> None:
    theta, grad = numbers(7, 71), numbers(7, 71, seed=1)
    clean = everything(slice(None), theta, grad)
    theta[3], grad[3] = poison, poison
    others = [0, 1, 2, 4, 5, 6]
    for before, after in zip(clean, everything(slice(None), theta, grad), strict=True):
        assert torch.equal(before[others], after[others])
