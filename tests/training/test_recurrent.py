"""Recurrent layers in lanes equal PyTorch's, padding changes nothing, and no lane depends on its neighbours."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpo.models.layers import assemble
from hpo.models.layers.flow import Carried
from hpo.models.layers.normed_recurrent import NormedRecurrent
from hpo.models.layers.recurrent import Recurrent
from hpo.models.layers.steps import Steps
from hpo.signature import Input, Signature
from hpo.studyfile.records import Constant, Dropout, LayerNorm, NoNorm, Regularization, RmsNorm, Training
from hpo.training import layout as lay
from hpo.training import packing
from hpo.training.program import Program
from tests.training.study import mixed, trainer
from tests.training.test_equality import DATA, numbers, plain_losses

B, T, C, UNITS = 19, 11, 5, 7
CELLS = ("GRU", "LSTM", "RNN_TANH", "RNN_RELU")


def layer(norm: str, *given: Any) -> Recurrent:
    """`norm`: in its cells, "" for none."""
    return NormedRecurrent(*given, norm.removesuffix("*"), "*" not in norm) if norm else Recurrent(*given)


def model(
    cell: str, directions: int, pooling: str, masked: bool = True, units: int = UNITS, norm: str = ""
) -> nn.Sequential:
    wide = units * directions
    return assemble(
        [
            ("steps", Steps(channels=C, length=T, masked=masked)),
            ("recurrent1", layer(norm, cell, C, units, directions, "")),
            ("recurrent2", layer(norm, cell, wide, units, directions, pooling)),
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


PLAIN = list(itertools.product(CELLS, (1, 2), ("last", "mean", "max"), (True, False), [""]))
NORMED = [
    ("GRU", 1, "last", True, "layer"),
    ("GRU", 2, "last", True, "rms*"),
    ("GRU", 2, "mean", False, "layer*"),
    ("LSTM", 1, "mean", False, "rms"),
    ("LSTM", 2, "last", True, "layer"),
    ("LSTM", 2, "max", True, "layer*"),
    ("RNN_TANH", 2, "last", True, "layer"),
    ("RNN_RELU", 1, "max", True, "rms"),
]
"""A * stands for no scales."""


@pytest.mark.parametrize(("cell", "directions", "pooling", "masked", "norm"), PLAIN + NORMED)
def test_lanes_equal_the_plain_layers(cell: str, directions: int, pooling: str, masked: bool, norm: str) -> None:
    modules = filled(3, cell, directions, pooling, masked, UNITS, norm)
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


POOLED = list(itertools.product(CELLS, ("last", "mean", "max"), [""]))
POOLED_NORMED = [("GRU", "last", "layer"), ("LSTM", "mean", "rms"), ("RNN_RELU", "max", "layer")]


@pytest.mark.parametrize(("cell", "pooling", "norm"), POOLED + POOLED_NORMED)
def test_padding_changes_nothing(cell: str, pooling: str, norm: str) -> None:
    (module,), (_, x) = filled(1, cell, 2, pooling, True, UNITS, norm), inputs(1)
    (longer,), (more, padded) = filled(1, cell, 2, pooling, True, UNITS, norm), inputs(1, length=T + 5)
    longer.get_submodule("steps").length = T + 5  # type: ignore[assignment]  # a number, not a layer
    torch.testing.assert_close(module(x[0]), longer(padded[0]), rtol=0, atol=1e-6)
    g = torch.randn(1, B, 4)
    short, long = Lanes([module], inputs(1)[0], torch.float32), Lanes([longer], more, torch.float32)
    for one, other in zip(short.step(x, g), long.step(padded, g), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


@pytest.mark.parametrize("units", [7, 48])
@pytest.mark.parametrize(("cell", "pooling", "norm"), [*POOLED, *POOLED_NORMED, ("LSTM", "last", "layer")])
def test_a_lane_does_not_depend_on_its_neighbours(cell: str, pooling: str, norm: str, units: int) -> None:
    """Bit for bit, also where their sequences are longer."""
    modules, (signature, x) = filled(9, cell, 2, pooling, True, units, norm), inputs(9)
    x[0, :, T * C + 3 :] = 0.0
    g = torch.randn(9, B, 4)
    with torch.inference_mode():
        outputs, gradient = Lanes(modules, signature, torch.float32).step(x, g)
        for lanes in ([0], [0, 5], [3, 0, 4, 2]):
            some = Lanes([modules[lane] for lane in lanes], signature, torch.float32)
            found = some.step(x[lanes], g[lanes])
            assert torch.equal(found[0], outputs[lanes])
            assert torch.equal(found[1], gradient[lanes])


@pytest.mark.parametrize("pooling", ["", "last"])
@pytest.mark.parametrize("cell", CELLS)
def test_a_cell_whose_norm_does_nothing_is_a_plain_one(
    cell: str, pooling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.nn.functional.layer_norm", lambda z, *_, **__: z)
    plain, normed = Recurrent(cell, C, UNITS, 2, pooling), layer("layer", cell, C, UNITS, 2, pooling)
    normed.load_state_dict(plain.state_dict(), strict=False)
    carried = Carried()
    carried.real = torch.arange(T) < torch.tensor([[T], [3], [1]])
    x = torch.randn(3, T, C)
    torch.testing.assert_close(normed(x, carried), plain(x, carried), rtol=0, atol=1e-6)


def test_a_step_of_a_gru_by_hand() -> None:
    one = layer("layer", "GRU", C, UNITS, 1, "last")
    for parameter in one.parameters():
        nn.init.normal_(parameter)
    x, h = torch.randn(2, 2, C), torch.zeros(2, UNITS)
    tensors = dict(one.named_parameters())
    for step in range(2):
        parts = []
        for which, given in (("ih", x[:, step]), ("hh", h)):
            gates = (given @ tensors[f"run.weight_{which}_l0"].T).view(2, 3, UNITS)
            gates = (gates - gates.mean(2, keepdim=True)) / (gates.var(2, keepdim=True, correction=0) + 1e-5).sqrt()
            gates = gates * tensors[f"scale_{which}"].view(3, UNITS) + tensors[f"run.bias_{which}_l0"].view(3, UNITS)
            parts.append(gates.unbind(1))
        (r, z, n), (more_r, more_z, more_n) = parts
        r, z = torch.sigmoid(r + more_r), torch.sigmoid(z + more_z)
        h = (1 - z) * torch.tanh(n + r * more_n) + z * h
    torch.testing.assert_close(one(x, Carried()), h, rtol=0, atol=1e-5)


def test_trials_with_norm_in_the_cell_equal_a_plain_loop_and_resume(tmp_path: Path) -> None:
    """Among trials without."""
    data = {**DATA["recurrent"], "dtype": torch.float64}
    norms = (NoNorm(), LayerNorm(kind="layer", placement="cell"), RmsNorm(kind="rms", placement="cell", every=2))
    plain = {"dropout": Dropout(), "schedule": Constant(name="constant"), "regularization": Regularization()}
    configs = {
        trial: mixed(trial, "recurrent").model_copy(
            update={**plain, "norm": norm, "training": Training(epochs=3, batch_size=32)}
        )
        for trial, norm in enumerate(norms)
    }
    its, again = trainer(**data), trainer(lanes=2, **data)
    assert its.admit(configs.items()) == []
    epochs = [its.tick().epochs]
    written = packing.write(tmp_path / "running.pt", packing.pack_running(its.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    assert all(packing.restore(again, trial, one, [saved[trial, 0]]) for trial, one in configs.items())
    epochs.append(its.tick().epochs)
    for one, other in zip(again.tick().epochs, epochs[1], strict=True):
        assert numbers(one) == pytest.approx(numbers(other), rel=1e-12)
    for trial, mine in configs.items():
        found = [(lane.train_loss, lane.metrics["loss"]) for tick in epochs for lane in tick if lane.trial == trial]
        expected = plain_losses(mine, trial, 2, **DATA["recurrent"])
        assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=1e-9, atol=1e-9)
