"""The loss and its gradient equal PyTorch's, lane by lane."""

from math import inf, nan

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from hpo.training.layers.loss import Mixed, loss_per_example, mixed_loss, training_loss

K, B, C = 5, 8, 4
SMOOTHING = [0.0, 0.1, 0.5, 0.9, 0.0]


def numbers(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(dtype)


def column(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64).unsqueeze(1)


@pytest.mark.parametrize("smoothing", [None, SMOOTHING])
@pytest.mark.parametrize("more", [0, 3, 12], ids=["just the classes", "wider", "a whole vector"])
def test_cross_entropy_equals_torch_with_its_gradient(smoothing: list[float] | None, more: int) -> None:
    outputs = numbers(K, B, C + more)
    target = torch.arange(K * B).view(K, B) % C
    logits = outputs[..., :C].clone().requires_grad_()
    expected = torch.stack(
        [F.cross_entropy(logits[k], target[k], label_smoothing=smoothing[k] if smoothing else 0.0) for k in range(K)]
    )
    (slope,) = torch.autograd.grad(expected.sum(), logits)
    loss, gradient = training_loss(outputs.clone(), C, target, column(smoothing) if smoothing else None)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient[..., :C], slope, rtol=1e-10, atol=1e-12)
    assert gradient.shape == outputs.shape
    assert not gradient[..., C:].any()


WEIGHTS = torch.tensor([[1.0] * C, [0.2, 1.0, 5.0, 1.0], [3.0, 0.5, 0.1, 9.0], [1.0] * C, [0.7, 1.0, 1.0, 1.0]])


@pytest.mark.parametrize("smoothing", [None, SMOOTHING])
@pytest.mark.parametrize("more", [0, 12], ids=["just the classes", "a whole vector"])
def test_weighted_cross_entropy_equals_torch_with_its_gradient(smoothing: list[float] | None, more: int) -> None:
    outputs, weights = numbers(K, B, C + more), WEIGHTS.double()
    target = torch.arange(K * B).view(K, B) ** 2 % 7 % C
    logits = outputs[..., :C].clone().requires_grad_()
    expected = torch.stack(
        [
            F.cross_entropy(logits[k], target[k], weights[k], label_smoothing=smoothing[k] if smoothing else 0.0)
            for k in range(K)
        ]
    )
    (slope,) = torch.autograd.grad(expected.sum(), logits)
    loss, gradient = training_loss(outputs.clone(), C, target, column(smoothing) if smoothing else None, weights)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient[..., :C], slope, rtol=1e-10, atol=1e-12)
    assert not gradient[..., C:].any()


@pytest.mark.parametrize("width", [1, 16])
def test_squared_error_equals_torch_with_its_gradient(width: int) -> None:
    outputs, target = numbers(K, B, width), numbers(K, B) + 1.0
    prediction = outputs[..., 0].clone().requires_grad_()
    expected = (prediction - target).square().mean(1)
    (slope,) = torch.autograd.grad(expected.sum(), prediction)
    loss, gradient = training_loss(outputs.clone(), 1, target, None)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient[..., 0], slope, rtol=1e-12, atol=0)
    assert not gradient[..., 1:].any()


def test_losses_of_examples_equal_torch() -> None:
    outputs, target = numbers(K, B, C), torch.arange(K * B).view(K, B) % C
    expected = F.cross_entropy(outputs.flatten(0, 1), target.flatten(), reduction="none").view(K, B)
    torch.testing.assert_close(loss_per_example(outputs, target), expected, rtol=1e-12, atol=0)


def test_without_smoothing_an_impossible_class_does_no_harm() -> None:
    outputs = torch.tensor([[[1.0, -inf, 0.0]]]).expand(2, -1, -1).clone()
    loss, gradient = training_loss(outputs.clone(), 3, torch.zeros(2, 1, dtype=torch.long), column([0.0, 0.1]).float())
    assert torch.equal(loss[0], F.cross_entropy(outputs[0], torch.zeros(1, dtype=torch.long)))
    assert gradient[0].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("classes", [2, 10, 16, 100])
@pytest.mark.parametrize("batch", [1, 7, 32])
def test_a_lane_alone_equals_it_among_others_bit_for_bit(dtype: torch.dtype, classes: int, batch: int) -> None:
    outputs = numbers(7, batch, classes, dtype=dtype) * 3
    target = torch.arange(7 * batch).view(7, batch) % classes
    smoothing = column([0.0, 0.1, 0.2, 0.0, 0.3, 0.8, 0.5]).to(dtype)
    weights = numbers(7, classes, dtype=dtype).exp()
    weights[::2] = 1.0
    for given in (None, weights):
        together = training_loss(outputs.clone(), classes, target, smoothing, given)
        for lane in range(7):
            one = slice(lane, lane + 1)
            mine = None if given is None or lane % 2 == 0 else given[one]
            alone = training_loss(outputs[one].clone(), classes, target[one], smoothing[one], mine)
            assert all(torch.equal(a[0], b[lane]) for a, b in zip(alone, together, strict=True))


@pytest.mark.parametrize("poison", [nan, inf, -inf])
def test_nan_and_infinity_stay_in_their_lane(poison: float) -> None:
    outputs, target = numbers(K, B, C), torch.arange(K * B).view(K, B) % C
    others = [0, 1, 2, 4]
    for weights in (None, WEIGHTS.double()):
        clean = training_loss(outputs.clone(), C, target, column(SMOOTHING), weights)
        poisoned = outputs.clone()
        poisoned[3] = poison
        for before, after in zip(clean, training_loss(poisoned, C, target, column(SMOOTHING), weights), strict=True):
            assert torch.equal(before[others], after[others])


@pytest.mark.parametrize("smoothing", [None, SMOOTHING])
def test_a_mixed_loss_is_the_share_of_two(smoothing: list[float] | None) -> None:
    outputs, share = numbers(K, B, C), torch.tensor([1.0, 0.3, 0.0, 0.8, 1.0]).double()
    first, second = torch.arange(K * B).view(K, B) % C, torch.arange(K * B).view(K, B) // 3 % C
    its = column(smoothing) if smoothing else None
    loss, gradient = mixed_loss(outputs.clone(), C, Mixed(first=first, second=second, share=share), its)
    logits = outputs.clone().requires_grad_()
    expected = torch.stack(
        [
            s * F.cross_entropy(logits[k], first[k], label_smoothing=smoothing[k] if smoothing else 0.0)
            + (1 - s) * F.cross_entropy(logits[k], second[k], label_smoothing=smoothing[k] if smoothing else 0.0)
            for k, s in enumerate(share)
        ]
    )
    (slope,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(gradient[..., :C], slope, rtol=1e-10, atol=1e-12)
    for mine, plain in zip((loss, gradient), training_loss(outputs.clone(), C, first, its), strict=True):
        assert torch.equal(mine[[0, 4]], plain[[0, 4]]), "not mixed"
