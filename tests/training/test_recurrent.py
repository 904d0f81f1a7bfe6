"""Recurrent layers in lanes equal PyTorch's, padding changes nothing, and no lane depends on its neighbours."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from hpo.models.layers import assemble
from hpo.models.layers.recurrent import Recurrent
from hpo.models.layers.steps import Steps
from hpo.signature import Input, Signature
from hpo.training import layout as lay
from hpo.training.program import Program

B, T, C, UNITS = 19, 11, 5, 7
CELLS = ("GRU", "LSTM", "RNN_TANH", "RNN_RELU")


def model(cell: str, directions: int, pooling: str, masked: bool = True, units: int = UNITS) -> nn.Sequential:
    wide = units * directions
    return assemble(
        [
            ("steps", Steps(channels=C, length=T, masked=masked)),
            ("recurrent1", Recurrent(cell, C, units, directions, "")),
            ("recurrent2", Recurrent(cell, wide, units, directions, pooling)),
            ("output", nn.Linear(wide, 4)),
        ]
    )


def filled(count: int, *arguments: object) -> list[nn.Sequential]:
    torch.manual_seed(0)
    modules = [model(*arguments) for _ in range(count)]  # type: ignore[arg-type]
    for parameter in (parameter for module in modules for parameter in module.parameters()):
        nn.init.normal_(parameter, 0.0, 0.4)
    return modules


def inputs(lanes: int, masked: bool = True, length: int = T) -> tuple[Signature, Tensor]:
    """Sequences of 0 to T steps, each with room for `length`."""
    torch.manual_seed(1)
    x = torch.randn(lanes, B, T, C)
    ends = torch.randint(0, T + 1, (lanes, B, 1))
    real = (torch.arange(T) < ends).float()
    values, mask = Input(name="values", shape=(length, C)), Input(name="mask", shape=(length,))
    if not masked:
        return Signature(inputs=(values,)), x
    x, real = (
        torch.cat([part, torch.full((lanes, B, length - T, *part.shape[3:]), fill)], 2)
        for part, fill in ((x, 9.0), (real, 0.0))
    )
    return Signature(inputs=(values, mask)), torch.cat([x.flatten(2), real], 2)


class Lanes:
    """The program of some modules, and its rows."""

    def __init__(self, modules: list[nn.Sequential], signature: Signature, dtype: torch.dtype) -> None:
        self.layout = lay.Layout.of(modules)
        rows = zip(*map(self.layout.row, modules), strict=True)
        self.theta, self.stats = (torch.stack(part).to(dtype) for part in rows)
        self.program = Program(modules, self.layout, signature, 4, device=torch.device("cpu"), dtype=dtype)

    def step(self, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs and gradient."""
        seen = []

        def loss(outputs: Tensor) -> tuple[Tensor, Tensor]:
            seen.append(outputs[..., :4].clone())
            back = torch.zeros_like(outputs)
            back[..., :4] = g
            return outputs.sum((1, 2)), back

        bound = self.program.bind(self.theta, self.stats)
        bound.step(x, {}, loss)
        return seen[0], bound.gradient_KP


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("directions", [1, 2])
@pytest.mark.parametrize("cell", CELLS)
def test_lanes_equal_the_plain_layers(cell: str, directions: int, pooling: str, masked: bool) -> None:
    modules = filled(3, cell, directions, pooling, masked)
    signature, x = inputs(3, masked)
    x = x.double()
    plain = [copy.deepcopy(module).double() for module in modules]
    expected = torch.stack([module(part) for module, part in zip(plain, x, strict=True)])
    g = torch.randn_like(expected)
    gradients = torch.autograd.grad(expected, [p for module in plain for p in module.parameters()], g)
    with torch.inference_mode():
        lanes = Lanes(modules, signature, torch.float64)
        outputs, gradient = lanes.step(x, g)
        views, found = lay.split(lanes.layout.parameters, gradient), iter(gradients)
        torch.testing.assert_close(outputs, expected.detach(), rtol=1e-9, atol=1e-9)
        for lane, module in enumerate(plain):
            for name, parameter in module.named_parameters():
                torch.testing.assert_close(views[name, tuple(parameter.shape)][lane], next(found), rtol=1e-8, atol=1e-8)
        shared = lanes.program.outputs(lanes.theta, lanes.stats, x[:1])
    alike = torch.stack([module(x[0]) for module in plain])
    torch.testing.assert_close(shared, alike.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", CELLS)
def test_padding_changes_nothing(cell: str, pooling: str) -> None:
    (module,), (_, x) = filled(1, cell, 2, pooling), inputs(1)
    (longer,), (more, padded) = filled(1, cell, 2, pooling), inputs(1, length=T + 5)
    longer.get_submodule("steps").length = T + 5  # type: ignore[assignment]  # a number, not a layer
    torch.testing.assert_close(module(x[0]), longer(padded[0]), rtol=0, atol=1e-6)
    g = torch.randn(1, B, 4)
    short, long = Lanes([module], inputs(1)[0], torch.float32), Lanes([longer], more, torch.float32)
    for one, other in zip(short.step(x, g), long.step(padded, g), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("units", [7, 48])
@pytest.mark.parametrize("pooling", ["last", "mean", "max"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_lane_does_not_depend_on_its_neighbours(cell: str, pooling: str, units: int) -> None:
    """Bit for bit, also where their sequences are longer."""
    modules, (signature, x) = filled(9, cell, 2, pooling, True, units), inputs(9)
    x[0, :, T * C + 3 :] = 0.0
    g = torch.randn(9, B, 4)
    with torch.inference_mode():
        outputs, gradient = Lanes(modules, signature, torch.float32).step(x, g)
        for lanes in ([0], [0, 5], [3, 0, 4, 2]):
            some = Lanes([modules[lane] for lane in lanes], signature, torch.float32)
            found = some.step(x[lanes], g[lanes])
            assert torch.equal(found[0], outputs[lanes])
            assert torch.equal(found[1], gradient[lanes])
