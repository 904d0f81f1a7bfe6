"""Pooling and normalisation of the steps of sequences: lanes equal the plain modules, and padding changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hpo.models.layers import assemble
from hpo.models.layers.pooling import Pool
from hpo.models.layers.step_norms import StepBatchNorm, StepGroupNorm
from hpo.models.layers.steps import Steps
from hpo.signature import Input, Signature
from hpo.training import layout as lay
from hpo.training.program import Program

K, B, T, C = 3, 6, 5, 8
NORMS: dict[str, Callable[[], nn.Module]] = {
    "batch": lambda: StepBatchNorm(C),
    "batch plain": lambda: StepBatchNorm(C, affine=False),
    "layer": lambda: nn.LayerNorm([C]),
    "layer plain": lambda: nn.LayerNorm([C], elementwise_affine=False),
    "group": lambda: StepGroupNorm(2, C),
    "group plain": lambda: StepGroupNorm(4, C, affine=False),
}


def model(norm: str, kind: str, masked: bool) -> nn.Sequential:
    """A linear layer in front, so that the norm is asked for the gradient of its input."""
    return assemble(
        [
            ("steps", Steps(channels=C, length=T, masked=masked)),
            ("norm1", NORMS[norm]()),
            ("norm2", NORMS[norm]()),
            ("pool", Pool(kind, backward=3 if kind == "last" else 0)),
            ("output", nn.Linear(C, 4)),
        ]
    )


def inputs(masked: bool, length: int = T) -> tuple[Signature, Tensor]:
    """Sequences of 1 to T steps, each with room for `length`."""
    torch.manual_seed(1)
    x = torch.randn(K, B, T, C, dtype=torch.float64)
    real = (torch.arange(T) <= torch.arange(B)[:, None] % T).double().expand(K, B, T)
    known = [Input(name="values", shape=(length, C)), Input(name="mask", shape=(length,))]
    if not masked:
        return Signature(inputs=(known[0],)), x
    x, real = (torch.cat([part, part.new_zeros(K, B, length - T, *part.shape[3:])], 2) for part in (x, real))
    return Signature(inputs=tuple(known)), torch.cat([x.flatten(2), real], 2)


def filled(make: Callable[[], nn.Sequential]) -> list[nn.Sequential]:
    torch.manual_seed(0)
    modules = [make().double() for _ in range(K)]
    for parameter in (parameter for module in modules for parameter in module.parameters()):
        nn.init.normal_(parameter)
        parameter.data.copy_(parameter.data.float())
    return modules


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("kind", ["last", "mean", "max"])
@pytest.mark.parametrize("norm", NORMS)
def test_lanes_equal_the_plain_modules(norm: str, kind: str, masked: bool) -> None:
    modules = filled(lambda: model(norm, kind, masked))
    layout = lay.Layout.of(modules)
    theta, stats = (torch.stack(part).double() for part in zip(*map(layout.row, modules), strict=True))
    signature, x = inputs(masked)
    plain = [copy.deepcopy(module).float() for module in modules]
    program = Program(plain, layout, signature, 4, device=torch.device("cpu"), dtype=torch.float64)
    bound = program.bind(theta, stats)
    expected = torch.stack([module(part) for module, part in zip(modules, x, strict=True)])
    g = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, [p for module in modules for p in module.parameters()], g)

    def loss(outputs: Tensor) -> tuple[Tensor, Tensor]:
        torch.testing.assert_close(outputs[..., :4], expected.detach())
        back = torch.zeros_like(outputs)
        back[..., :4] = g
        return outputs.sum((1, 2)), back

    bound.step(x, {}, loss)
    views, found = lay.split(layout.parameters, bound.gradient_KP), iter(gradients)
    for lane, module in enumerate(modules):
        for name, parameter in module.named_parameters():
            torch.testing.assert_close(views[name, tuple(parameter.shape)][lane], next(found))
        module.eval()
    after = torch.stack([module(part) for module, part in zip(modules, x, strict=True)])
    torch.testing.assert_close(program.outputs(theta, stats, x), after.detach())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["last", "mean", "max"])
@pytest.mark.parametrize("norm", NORMS)
def test_padding_changes_nothing(norm: str, kind: str, training: bool) -> None:
    (module, *_), (_, x) = filled(lambda: model(norm, kind, True)), inputs(True)
    (longer, *_), (_, padded) = filled(lambda: model(norm, kind, True)), inputs(True, T + 3)
    longer.get_submodule("steps").length = T + 3  # type: ignore[assignment]  # a number, not a layer
    module.train(training), longer.train(training)
    torch.testing.assert_close(module(x[0]), longer(padded[0]), rtol=0, atol=1e-12)


def test_an_empty_sequence_is_one_step_of_nothing() -> None:
    (module, *_), (_, x) = filled(lambda: model("layer", "max", True)), inputs(True)
    empty = x[0, :2].clone()
    empty[:, T * C :] = 0.0
    one = empty.clone()
    one[:, : T * C] = 0.0
    one[:, T * C] = 1.0
    torch.testing.assert_close(module(empty), module(one))
