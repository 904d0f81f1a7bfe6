"""Convolutional networks of all forms in lanes: they equal the plain modules, no lane depends on its neighbours, and
what lies behind the end of a sequence changes nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from hpo import models
from hpo.errors import InputError
from hpo.models.named_inputs import example
from hpo.signature import Input, Signature
from hpo.studyfile.records import TrialConfig
from hpo.training import layout as lay
from hpo.training.layers import convolution
from hpo.training.program import Program

B = 5
CPU = torch.device("cpu")

SIGNATURES = {
    "image": Signature.of_values(3, 9, 8),
    "gray": Signature.of_values(1, 8, 8),
    "sequence": Signature.of_values(9, 3),
    "masked": Signature(inputs=(Input(name="values", shape=(9, 3)), Input(name="mask", shape=(9,)))),
    "text": Signature(inputs=(Input(name="tokens", shape=(7,), sizes=(20,)),)),
}
NETWORKS: dict[str, dict[str, Any]] = {
    "stride": {"pooling": "stride", "norm": {"kind": "batch"}},
    "average": {"pooling": "average", "head": "average", "norm": {"kind": "group", "groups": 2}},
    "residual": {"residual": True, "channels": [4, 4, 8], "norm": {"kind": "batch", "placement": "after_activation"}},
    "residual stride": {"residual": True, "pooling": "stride", "norm": {"kind": "layer", "every": 2}},
    "depthwise": {"depthwise": True, "residual": True, "activation": "tanh", "norm": {"kind": "batch"}},
}
CASES = [(network, data) for network in NETWORKS for data in SIGNATURES]


def network(name: str, **more: Any) -> TrialConfig:
    options = {**NETWORKS[name], **more}
    norm = options.pop("norm")
    model = {"family": "cnn", "channels": [4, 6], "kernel": 3, **options}
    optimizer = {"name": "sgd", "learning_rate": 0.1}
    return TrialConfig.model_validate({"model": model, "norm": norm, "optimizer": optimizer})


def lanes(config: TrialConfig, signature: Signature, count: int, dtype: torch.dtype) -> list[nn.Sequential]:
    """Modules whose parameters all differ."""
    modules = []
    for lane in range(count):
        module = models.build(config, signature, 4)
        models.initialize(module, config, torch.Generator().manual_seed(lane))
        for parameter in module.parameters():
            parameter.data.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(lane + 9)))
        modules.append(module.to(dtype))
    return modules


def rows(signature: Signature, count: int, dtype: torch.dtype) -> Tensor:
    """[K, B, ...]; some sequences end early."""
    drawn = [example(signature, B, torch.Generator().manual_seed(lane)) for lane in range(count)]
    return torch.stack(drawn).to(dtype)


def stacked(modules: list[nn.Sequential], signature: Signature, dtype: torch.dtype) -> tuple[Program, Tensor, Tensor]:
    layout = lay.Layout.of(modules)
    theta, stats = (torch.stack(part).to(dtype) for part in zip(*map(layout.row, modules), strict=True))
    return Program(modules, layout, signature, 4, device=CPU, dtype=dtype), theta, stats


def step(program: Program, theta: Tensor, stats: Tensor, x: Tensor, g: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The outputs, the gradient, and the running averages after a step."""
    bound, seen = program.bind(theta, stats), []

    def loss(outputs: Tensor) -> tuple[Tensor, Tensor]:
        seen.append(outputs[..., :4].clone())
        back = torch.zeros_like(outputs)
        back[..., :4] = g
        return outputs.sum((1, 2)), back

    with torch.inference_mode():
        bound.step(x, {}, loss)
    return seen[0], bound.gradient_KP.clone(), stats


@pytest.mark.parametrize(("name", "data"), CASES)
@pytest.mark.parametrize("large", [True, False])
def test_lanes_equal_the_plain_module(monkeypatch: pytest.MonkeyPatch, name: str, data: str, large: bool) -> None:
    monkeypatch.setattr(convolution, "LARGE", 1 if large else 2**40)
    signature, dtype = SIGNATURES[data], torch.float64
    modules = lanes(network(name), signature, 3, torch.float32)
    program, theta, stats = stacked(modules, signature, dtype)
    plain = [copy.deepcopy(module).double() for module in modules]
    x = rows(signature, 3, dtype)
    expected = torch.stack([module(part) for module, part in zip(plain, x, strict=True)])
    g = torch.randn_like(expected)
    parameters = [parameter for module in plain for parameter in module.parameters()]
    gradients = iter(torch.autograd.grad(expected, parameters, g))
    outputs, gradient, stats = step(program, theta, stats, x, g)
    torch.testing.assert_close(outputs, expected.detach(), rtol=1e-10, atol=1e-10)
    views = lay.split(program.layout.parameters, gradient)
    for lane, module in enumerate(plain):
        for key, parameter in module.named_parameters():
            torch.testing.assert_close(views[key, tuple(parameter.shape)][lane], next(gradients), rtol=1e-9, atol=1e-10)
        module.eval()
    again = torch.stack([module(part) for module, part in zip(plain, x, strict=True)])
    torch.testing.assert_close(program.outputs(theta, stats, x), again.detach(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("name", "data"), CASES)
@pytest.mark.parametrize("large", [True, False])
def test_a_lane_does_not_depend_on_its_neighbours(
    monkeypatch: pytest.MonkeyPatch, name: str, data: str, large: bool
) -> None:
    """Bit for bit, in float32."""
    monkeypatch.setattr(convolution, "LARGE", 1 if large else 2**40)
    signature, dtype = SIGNATURES[data], torch.float32
    config = network(name)
    modules, x = lanes(config, signature, 7, dtype), rows(signature, 7, dtype)
    g = torch.randn(7, B, 4, generator=torch.Generator().manual_seed(0))
    all_of = step(*stacked(modules, signature, dtype), x, g)
    for some in (slice(0, 1), slice(6, 7), slice(2, 5)):
        found = step(*stacked(modules[some], signature, dtype), x[some], g[some])
        assert all(torch.equal(one, part[some]) for one, part in zip(found, all_of, strict=True))


@pytest.mark.parametrize("name", ["average", "residual", "depthwise"])
def test_lanes_of_other_activations_change_nothing(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Large images of which a batch has no multiple of 64 numbers."""
    monkeypatch.setattr(convolution, "LARGE", 1)
    signature, dtype = SIGNATURES["image"], torch.float32
    kinds = ("relu", "tanh", "gelu", "silu", "elu", "leaky_relu")
    modules = [lanes(network(name, activation=kind), signature, 1, dtype)[0] for kind in kinds]
    x = rows(signature, len(kinds), dtype)
    g = torch.randn(len(kinds), B, 4, generator=torch.Generator().manual_seed(0))
    all_of = step(*stacked(modules, signature, dtype), x, g)
    for lane in range(len(kinds)):
        some = slice(lane, lane + 1)
        found = step(*stacked(modules[some], signature, dtype), x[some], g[some])
        assert all(torch.equal(one, part[some]) for one, part in zip(found, all_of, strict=True)), kinds[lane]


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ({"norm": {"kind": "group", "groups": 3}}, "norm.groups = 3 makes each of the 3 numbers of a step"),
        ({"norm": {"kind": "none"}, "dropout": {"spatial": True}}, "dropout.spatial = true drops whole channels"),
    ],
)
def test_what_does_nothing_to_sequences_is_refused(network: dict[str, Any], said: str) -> None:
    model = {"family": "cnn", "channels": [3]}
    one = {"model": model, "optimizer": {"name": "sgd", "learning_rate": 0.1}, **network}
    models.build(TrialConfig.model_validate(one), SIGNATURES["image"], 4)
    with pytest.raises(InputError, match=said):
        models.build(TrialConfig.model_validate(one), SIGNATURES["sequence"], 4)


@pytest.mark.parametrize("name", NETWORKS)
def test_padding_changes_nothing(name: str) -> None:
    """Neither numbers behind the end, nor how many steps there are behind it."""
    config, long = network(name), 12
    wide = Signature(inputs=(Input(name="values", shape=(long, 3)), Input(name="mask", shape=(long,))))
    (module,), (other,) = (lanes(config, which, 1, torch.float64) for which in (SIGNATURES["masked"], wide))
    x = rows(SIGNATURES["masked"], 1, torch.float64)[0]
    values, mask = x[:, :27].view(B, 9, 3), x[:, 27:]
    garbage = values + 7.0 * (1 - mask).unsqueeze(2)
    assert not torch.equal(garbage, values)
    room = torch.full((B, long - 9, 3), 5.0, dtype=x.dtype)
    longer = torch.cat([torch.cat([garbage, room], 1).flatten(1), mask, mask.new_zeros(B, long - 9)], 1)
    for training in (True, False):
        module.train(training), other.train(training)
        torch.testing.assert_close(other(longer), module(x), rtol=1e-6, atol=1e-6)
