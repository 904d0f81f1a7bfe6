"""Residual blocks and the first layers of sequences in lanes equal the plain modules."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hpo.models.layers import assemble
from hpo.models.layers.flow import Add, Flow, Skip, SkipConv2d, SkipLinear
from hpo.models.layers.steps import Steps, WordSteps
from hpo.signature import Input, Signature
from hpo.training import layout as lay
from hpo.training.program import Program

K, B = 3, 5
CPU = torch.device("cpu")


def dense() -> nn.Sequential:
    """Blocks of equal and of another width, one inside the other."""
    return assemble(
        [
            ("flatten", nn.Flatten()),
            ("linear1", nn.Linear(10, 8)),
            ("skip1", Skip()),
            ("skip2", SkipLinear(8, 12)),
            ("linear2", nn.Linear(8, 12)),
            ("activation2", nn.ReLU()),
            ("add2", Add()),
            ("linear3", nn.Linear(12, 8)),
            ("add1", Add()),
            ("output", nn.Linear(8, 4)),
        ]
    )


def image() -> nn.Sequential:
    """A block at the very beginning."""
    return assemble(
        [
            ("skip1", SkipConv2d(2, 3, 3, padding=1)),
            ("conv1", nn.Conv2d(2, 3, 3, padding=1)),
            ("add1", Add()),
            ("flatten", nn.Flatten()),
            ("output", nn.Linear(3 * 6 * 4, 4)),
        ]
    )


def sequence() -> nn.Sequential:
    return assemble(
        [
            ("steps", Steps(channels=3, length=4, masked=True)),
            ("linear1", nn.Flatten()),
            ("output", nn.Linear(12, 4)),
        ]
    )


def text() -> nn.Sequential:
    return assemble(
        [
            ("steps", WordSteps(length=6, vocabulary=9, width=4)),
            ("flatten", nn.Flatten()),
            ("output", nn.Linear(24, 4)),
        ]
    )


def signature(**inputs: tuple[tuple[int, ...], tuple[int, ...]]) -> Signature:
    return Signature(inputs=tuple(Input(name=n, shape=s, sizes=z) for n, (s, z) in inputs.items()))  # type: ignore[arg-type]


CASES: dict[str, tuple[Callable[[], nn.Sequential], Signature]] = {
    "dense": (dense, signature(values=((10,), ()))),
    "image": (image, signature(values=((2, 6, 4), ()))),
    "sequence": (sequence, signature(values=((3, 4), ()), mask=((4,), ()))),
    "text": (text, signature(tokens=((6,), (9,)))),
}


def rows(which: Signature) -> Tensor:
    torch.manual_seed(1)
    x = torch.randn(K, B, *which.shape, dtype=torch.float64)
    if which.names == ("values", "mask"):
        x[..., 12:] = (torch.arange(4) <= torch.arange(B)[:, None] % 4).double()
    if which.names == ("tokens",):
        x = (x.abs() * 4).floor().clamp(max=8)
    return x


@pytest.mark.parametrize("case", CASES)
def test_lanes_equal_the_plain_module(case: str) -> None:
    make, its = CASES[case]
    torch.manual_seed(0)
    modules = [make().double() for _ in range(K)]
    assert all(isinstance(module, Flow) for module in modules)
    for module in modules:
        for parameter in module.parameters():
            nn.init.normal_(parameter)
            parameter.data.copy_(parameter.data.float())
    layout = lay.Layout.of(modules)
    theta, stats = (torch.stack(part).double() for part in zip(*map(layout.row, modules), strict=True))
    plain = [copy.deepcopy(module).float() for module in modules]
    program = Program(plain, layout, its, 4, device=CPU, dtype=torch.float64)
    x = rows(its)
    expected = torch.stack([module(part) for module, part in zip(modules, x, strict=True)])
    g = torch.randn_like(expected)
    parameters = [parameter for module in modules for parameter in module.parameters()]
    gradients = torch.autograd.grad(expected, parameters, g)

    torch.testing.assert_close(program.outputs(theta, stats, x, rows=2), expected.detach(), rtol=1e-10, atol=1e-10)
    bound = program.bind(theta, stats)

    def loss(outputs: Tensor) -> tuple[Tensor, Tensor]:
        back = torch.zeros_like(outputs)
        back[..., :4] = g
        return outputs.sum((1, 2)), back

    for _ in range(2):  # nothing is left over from a step before
        bound.step(x, {}, loss)
        views, found = lay.split(layout.parameters, bound.gradient_KP), iter(gradients)
        for lane, module in enumerate(modules):
            for name, parameter in module.named_parameters():
                torch.testing.assert_close(views[name, tuple(parameter.shape)][lane], next(found))


def test_what_lies_behind_the_end_of_a_sequence_is_not_seen() -> None:
    make, its = CASES["sequence"]
    module, x = make().double(), rows(its)[0]
    y = module(x)
    other = x.clone()
    other[:, :12] += 7.0 * (1 - x[:, 12:].repeat_interleave(3, dim=1))
    assert not torch.equal(other, x)
    assert torch.equal(module(other), y)
