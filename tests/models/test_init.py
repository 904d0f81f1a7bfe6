from math import sqrt
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from hpo.models import initialize
from hpo.models.activations import GAINS
from hpo.models.init import SCHEMES
from hpo.studyfile.records import Init, TrialConfig
from tests.models.values import build

FAN_IN, FAN_OUT = 300, 500
"""Of the hidden linear layer."""


def config(scheme: str, family: str = "mlp", activation: str = "relu", **tables: Any) -> TrialConfig:
    widths = {"hidden": [FAN_OUT]} if family == "mlp" else {"channels": [64, 96]}
    return TrialConfig.model_validate(
        {
            "model": {"family": family, "activation": activation, **widths},
            "init": {"scheme": scheme, "std": 0.03, "value": 0.25},
            "optimizer": {"name": "sgd"},
            **tables,
        }
    )


def initialized(trial: TrialConfig, seed: int = 0) -> nn.Sequential:
    shape = (FAN_IN,) if trial.model.family == "mlp" else (32, 8, 8)
    model = build(trial, shape, 200)
    initialize(model, trial, torch.Generator().manual_seed(seed))
    return model


def weight(model: nn.Sequential, name: str) -> Tensor:
    layer = model.get_submodule(name)
    assert isinstance(layer, nn.Linear | nn.Conv2d)
    return layer.weight.detach().double()


def formula(scheme: str, fan_in: int, fan_out: int, gain: float) -> float:
    match scheme.split("_"):
        case ["small", _]:
            return 0.03**2
        case ["lecun", _]:
            return 1 / fan_in
        case ["xavier", _]:
            return 2 * gain**2 / (fan_in + fan_out)
        case ["kaiming", _]:
            return gain**2 / fan_in
    raise AssertionError(scheme)


RANDOM = ["small_normal", "lecun_normal", "xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"]


def test_every_scheme_of_the_study_file_is_here() -> None:
    assert set(SCHEMES) == set(get_args(Init.model_fields["scheme"].annotation))
    assert set(SCHEMES) == {*RANDOM, "zeros", "constant", "orthogonal"}


@pytest.mark.parametrize("scheme", RANDOM)
@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
def test_variance_follows_the_formula(scheme: str, activation: str) -> None:
    gain = GAINS[activation]
    mlp, cnn = (initialized(config(scheme, family, activation)) for family in ("mlp", "cnn"))
    cases = [
        (weight(mlp, "linear1"), FAN_IN, FAN_OUT, gain),
        (weight(mlp, "output"), FAN_OUT, 200, 1.0),
        (weight(cnn, "conv2"), 64 * 9, 96 * 9, gain),
    ]
    for values, fan_in, fan_out, used in cases:
        n = values.numel()
        expected = formula(scheme, fan_in, fan_out, used)
        # four standard errors: the variance of a sample variance is 2/n (normal) or 0.8/n (uniform) of its square
        spread = 4 * sqrt((0.8 if "uniform" in scheme else 2.0) / n)
        assert values.var().item() == pytest.approx(expected, rel=spread)
        assert abs(values.mean().item()) < 4 * sqrt(expected / n)
        largest = values.abs().max().item() / sqrt(expected)
        assert (largest <= sqrt(3) * (1 + 1e-6)) == ("uniform" in scheme)


@pytest.mark.parametrize("scheme", ["xavier_uniform", "xavier_normal", "kaiming_uniform", "kaiming_normal"])
def test_draws_equal_those_of_torch(scheme: str) -> None:
    trial = config(scheme)
    model = build(trial, (FAN_IN,), 200)
    initialize(model, trial, torch.Generator().manual_seed(5))
    theirs = torch.empty(FAN_OUT, FAN_IN)
    gain = {"gain": GAINS["relu"]} if "xavier" in scheme else {"nonlinearity": "relu"}
    getattr(nn.init, f"{scheme}_")(theirs, **gain, generator=torch.Generator().manual_seed(5))
    torch.testing.assert_close(weight(model, "linear1"), theirs.double(), rtol=1e-6, atol=1e-9)


def test_orthogonal_rows_or_columns_have_the_length_of_the_gain() -> None:
    mlp, cnn = (initialized(config("orthogonal", family)) for family in ("mlp", "cnn"))
    for values, gain in [
        (weight(mlp, "linear1"), sqrt(2)),
        (weight(mlp, "output"), 1.0),
        (weight(cnn, "conv2").flatten(1), sqrt(2)),
    ]:
        short = values if values.shape[0] <= values.shape[1] else values.T
        product = short @ short.T
        torch.testing.assert_close(product, gain**2 * torch.eye(len(short)).double(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("family", ["mlp", "cnn"])
@pytest.mark.parametrize(("scheme", "value"), [("zeros", 0.0), ("constant", 0.25)])
def test_zeros_and_constant_fill_every_weight(family: str, scheme: str, value: float) -> None:
    model = initialized(config(scheme, family))
    layers = [child for child in model if isinstance(child, nn.Linear | nn.Conv2d)]
    assert len(layers) >= 2
    for layer in layers:
        assert (layer.weight == value).all()


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_biases_are_zero_and_norms_start_as_identity(family: str, kind: str) -> None:
    trial = config("kaiming_normal", family, norm={"kind": kind})
    model = build(trial, (FAN_IN,) if family == "mlp" else (32, 8, 8), 200)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.fill_(7)
    initialize(model, trial, torch.Generator().manual_seed(0))
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            assert (parameter == 0).all()
        elif name.startswith("norm"):
            assert (parameter == 1).all()
        else:
            assert not (parameter == 7).any()
    for name, buffer in model.named_buffers():
        assert (buffer == (1 if name.endswith("running_var") else 0)).all()


@pytest.mark.parametrize("scheme", [*RANDOM, "orthogonal"])
def test_the_generator_alone_decides(scheme: str) -> None:
    torch.manual_seed(1)
    first = initialized(config(scheme))
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    again, other = initialized(config(scheme)), initialized(config(scheme), seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(weight(first, "linear1"), weight(again, "linear1"))
    assert not torch.equal(weight(first, "linear1"), weight(other, "linear1"))


def test_slots_draw_nothing_so_weights_do_not_depend_on_them() -> None:
    plain = initialized(config("kaiming_normal"))
    normed = initialized(config("kaiming_normal", norm={"kind": "batch"}, dropout={"p": 0.5}))
    for name in ("linear1", "output"):
        assert torch.equal(weight(plain, name), weight(normed, name))
