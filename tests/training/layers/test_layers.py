"""Every layer's pass forward and pass back equal those of the plain module, lane by lane."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from hpo.models.layers.embed import Embed
from hpo.training import layout as lay
from hpo.training.layers import convolution, mixed_norm
from hpo.training.layers.flow import FLOW
from hpo.training.layers.frame import Frame, LayerContext
from hpo.training.layers.mixed_norm import MixedNorm
from hpo.training.layers.periodic import PERIODIC
from hpo.training.layers.piecewise import PIECEWISE
from hpo.training.program import RULES
from hpo.training.ragged.attention import ATTENTION
from hpo.training.recurrent.layer import RECURRENT
from hpo.training.recurrent.normed import NORMED_RECURRENT
from hpo.training.sequences.convolution import STEP_CONVOLUTIONS
from hpo.training.sequences.norms import STEP_NORMS
from hpo.training.sequences.pooling import POOLING

K, B = 3, 6
DENSE, IMAGE = (10,), (4, 7, 6)

LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(10, 5), DENSE),
    "linear whole": (lambda: nn.Linear(10, 16), DENSE),
    "conv by shifts": (lambda: nn.Conv2d(4, 3, 3, padding=1), IMAGE),
    "conv by groups": (lambda: nn.Conv2d(8, 16, 5, padding=2), (8, 7, 6)),
    "conv with stride": (lambda: nn.Conv2d(4, 6, 3, stride=2, padding=1), IMAGE),
    "conv of each channel": (lambda: nn.Conv2d(4, 4, 3, padding=1, groups=4, bias=False), IMAGE),
    "conv of single pixels": (lambda: nn.Conv2d(4, 8, 1, stride=2, bias=False), IMAGE),
    "average pool": (lambda: nn.AvgPool2d(2), IMAGE),
    "global average pool": (lambda: nn.AdaptiveAvgPool2d(1), IMAGE),
    "pool": (lambda: nn.MaxPool2d(2), IMAGE),
    "flatten": (lambda: nn.Flatten(), IMAGE),
    "batch norm": (lambda: nn.BatchNorm1d(10), DENSE),
    "batch norm plain": (lambda: nn.BatchNorm1d(10, affine=False), DENSE),
    "batch norm 2d": (lambda: nn.BatchNorm2d(4), IMAGE),
    "batch norm 2d plain": (lambda: nn.BatchNorm2d(4, affine=False), IMAGE),
    "layer norm": (lambda: nn.LayerNorm(10), DENSE),
    "layer norm plain": (lambda: nn.LayerNorm(10, elementwise_affine=False), DENSE),
    "layer norm of images": (lambda: nn.LayerNorm(list(IMAGE)), IMAGE),
    "rms norm": (lambda: nn.RMSNorm(10, eps=1e-5), DENSE),
    "rms norm plain": (lambda: nn.RMSNorm(10, eps=1e-5, elementwise_affine=False), DENSE),
    "rms norm of images": (lambda: nn.RMSNorm(list(IMAGE), eps=1e-5), IMAGE),
    "rms norm of steps": (lambda: nn.RMSNorm(6, eps=1e-5), (5, 6)),
    "group norm": (lambda: nn.GroupNorm(2, 4), IMAGE),
    "group norm of features": (lambda: nn.GroupNorm(5, 10), DENSE),
    "group norm plain": (lambda: nn.GroupNorm(2, 4, affine=False), IMAGE),
    "relu": (nn.ReLU, DENSE),
    "leaky relu": (lambda: nn.LeakyReLU(0.2), DENSE),
    "elu": (nn.ELU, DENSE),
    "gelu": (nn.GELU, IMAGE),
    "silu": (nn.SiLU, DENSE),
    "tanh": (nn.Tanh, IMAGE),
    "sigmoid": (nn.Sigmoid, DENSE),
    "identity": (nn.Identity, DENSE),
}


def stacked(modules: list[nn.Module]) -> tuple[lay.Layout, Frame, Tensor, Tensor]:
    """The frame of lanes with one layer each, named `layer`."""
    models = [nn.Sequential() for _ in modules]
    for model, module in zip(models, modules, strict=True):
        model.add_module("layer", module)
    layout = lay.Layout.of(models)
    rows = [layout.row(model) for model in models]
    theta, stats = (torch.stack(part).double() for part in zip(*rows, strict=True))
    gradient, batch_stats = torch.zeros_like(theta), torch.zeros_like(stats)
    frame = Frame(
        parameters=lay.split(layout.parameters, theta),
        stats=lay.split(layout.stats, stats),
        columns={
            f"layer.{which}": c
            for which, c in mixed_norm.mixed_norm_columns(modules, torch.float64, torch.device("cpu")).items()
        },
        training=True,
        gradients=lay.split(layout.parameters, gradient),
        batch_stats=lay.split(layout.stats, batch_stats),
    )
    return layout, frame, gradient, batch_stats


def lanes(make: Callable[[int], nn.Module]) -> list[nn.Module]:
    """Modules whose parameters all differ."""
    torch.manual_seed(0)
    modules = [make(lane).double() for lane in range(K)]
    for module in modules:
        for parameter in module.parameters():
            nn.init.normal_(parameter)
        rounded(module)
    return modules


def rounded(module: nn.Module) -> None:
    """Makes all numbers such that rows, which are filled in float32, hold them exactly."""
    with torch.no_grad():
        for tensor in (*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())):
            tensor.copy_(tensor.float())


def check(modules: list[nn.Module], shape: tuple[int, ...], rule: Callable[[LayerContext], object]) -> None:
    x = torch.randn(K, B, *shape, dtype=torch.float64, requires_grad=True)
    expected = torch.stack([module(part) for module, part in zip(modules, x, strict=True)])
    g = torch.randn_like(expected)
    parameters = [p for module in modules for p in module.parameters()]
    d_x, *d_parameters = torch.autograd.grad(expected, [x, *parameters], g)

    layout, frame, gradient, batch_stats = stacked(modules)
    one = rule(LayerContext(name="layer", lanes=slice(0, K), frame=frame))
    with torch.inference_mode():
        y, kept = one.forward(x.detach())
        back = one.backward(kept, g, True)
    torch.testing.assert_close(y, expected.detach(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(back, d_x, rtol=1e-9, atol=1e-10)
    views, given = lay.split(layout.parameters, gradient), iter(d_parameters)
    for lane, module in enumerate(modules):
        for name, parameter in module.named_parameters():
            found = views[f"layer.{name}", tuple(parameter.shape)][lane]
            torch.testing.assert_close(found, next(given), rtol=1e-9, atol=1e-10)
    for lane, module in enumerate(modules):
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):  # momentum 0.1, from 0 and 1
            stats = {name: view[lane] for (name, _), view in lay.split(layout.stats, batch_stats).items()}
            torch.testing.assert_close(0.1 * stats["layer.running_mean"][: module.num_features], module.running_mean)
            moved = 0.9 + 0.1 * stats["layer.running_var"][: module.num_features]
            torch.testing.assert_close(moved, module.running_var)


@pytest.mark.parametrize("channels", [1, 3, 8])
def test_a_convolution_of_large_images_equals_the_plain_module(monkeypatch: pytest.MonkeyPatch, channels: int) -> None:
    monkeypatch.setattr(convolution, "LARGE", 1)
    modules = lanes(lambda _: nn.Conv2d(channels, 5, 3, padding=1))
    check(modules, (channels, 7, 6), lambda context: RULES[nn.Conv2d](context, modules[0]))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_equals_the_plain_module(name: str) -> None:
    make, shape = LAYERS[name]
    modules = lanes(lambda _: make())
    check(modules, shape, lambda context: RULES[type(modules[0])](context, modules[0]))


def test_every_layer_is_tested() -> None:
    """Masks, vectors, and layers that carry something past others: `test_randomness`, `test_embed`, `test_flow`,
    `test_perceptrons`, `test_steps`, `test_recurrent`, `test_cnn`, `ragged/test_transformer`."""
    sequences = {*ATTENTION, *NORMED_RECURRENT, *POOLING, *RECURRENT, *STEP_CONVOLUTIONS, *STEP_NORMS}
    elsewhere = {nn.Dropout, nn.Dropout2d, Embed, *FLOW, *PERIODIC, *PIECEWISE, *sequences}
    assert {type(make()) for make, _ in LAYERS.values()} | elsewhere == set(RULES)


@pytest.mark.parametrize(
    "kinds",
    [
        (nn.BatchNorm1d, nn.LayerNorm, nn.Identity),
        (nn.BatchNorm1d, nn.Identity, nn.BatchNorm1d),
        (nn.LayerNorm, nn.Identity, nn.Identity),
    ],
)
@pytest.mark.parametrize("affine", [True, False])
def test_norms_of_mixed_kinds_equal_the_plain_modules(kinds: tuple[type[nn.Module], ...], affine: bool) -> None:
    def make(lane: int) -> nn.Module:
        kind = kinds[lane]
        if kind is nn.Identity:
            return nn.Identity()
        learns = affine or lane == 0
        return nn.BatchNorm1d(10, affine=learns) if kind is nn.BatchNorm1d else nn.LayerNorm(10, 1e-5, learns)

    modules = lanes(make)
    check(modules, DENSE, MixedNorm.of(modules).bind)


@pytest.mark.parametrize("name", [name for name in LAYERS if "norm" in name])
def test_inference_equals_the_plain_module(name: str) -> None:
    make, shape = LAYERS[name]
    modules = lanes(lambda _: make())
    for module in modules:
        module(torch.randn(B, *shape, dtype=torch.float64))
        module.eval()
        rounded(module)
    _, frame, _, _ = stacked(modules)
    frame.training = False
    x = torch.randn(K, B, *shape, dtype=torch.float64)
    context = LayerContext(name="layer", lanes=slice(0, K), frame=frame)
    y, _ = RULES[type(modules[0])](context, modules[0]).forward(x)
    expected = torch.stack([module(part) for module, part in zip(modules, x, strict=True)])
    torch.testing.assert_close(y, expected.detach(), rtol=1e-10, atol=1e-10)
