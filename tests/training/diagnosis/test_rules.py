"""Each rule finds its trouble where it was put, and nothing in a sound training."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo import models
from hpo.signs import WORDS, Code, Sign
from hpo.studyfile.records import Init, TrialConfig
from hpo.training import randomness
from hpo.training.diagnosis import rules
from hpo.training.diagnosis.measure import Diagnosis, constant_loss
from hpo.training.diagnosis.probe import probe
from hpo.training.diagnosis.rules import Curves
from hpo.training.diagnosis.updates import Updates
from tests.training.study import setting

SOUND = Curves(
    train_loss=[2.3 * 0.7**epoch + 0.05 for epoch in range(20)],
    valid_loss=[2.3 * 0.65**epoch + 0.10 for epoch in range(20)],
    objective=[0.95 - 0.8 * 0.7**epoch for epoch in range(20)],
    gradient_norm=[1.0 + 0.5 * 0.9**epoch for epoch in range(20)],
    constant_loss=2.3,
    complete=True,
)

CURVES = ("train_loss", "valid_loss", "objective", "gradient_norm")


def config(**tables: Any) -> TrialConfig:
    base = {"model": {"family": "mlp", "hidden": [32, 32]}, "optimizer": {"name": "adam", "learning_rate": 1e-3}}
    return TrialConfig.model_validate({**base, **tables})


def codes(signs: Any) -> set[Code]:
    return {sign.code for sign in signs}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({}, set()),
        ({"init": {"scheme": "zeros"}}, {Code.IDENTICAL_UNITS, Code.DEAD_UNITS}),
        ({"init": {"scheme": "constant", "value": 0.1}}, {Code.IDENTICAL_UNITS}),
        (
            {
                "model": {"family": "mlp", "hidden": [64] * 8},
                "init": {"scheme": "small_normal", "std": 1.0},
            },
            {Code.SIGNAL_EXPLODES},
        ),
        (
            {
                "model": {"family": "mlp", "hidden": [64] * 8},
                "init": {"scheme": "small_normal", "std": 0.01},
            },
            {Code.SIGNAL_VANISHES},
        ),
        (
            {
                "model": {"family": "mlp", "hidden": [64] * 12, "activation": "sigmoid"},
                "init": {"scheme": "xavier_normal"},
            },
            {Code.GRADIENT_VANISHES},
        ),
        (
            {
                "model": {"family": "mlp", "hidden": [32, 32], "activation": "tanh"},
                "init": {"scheme": "small_normal", "std": 2.0},
            },
            {Code.SATURATED_UNITS},
        ),
        ({"norm": {"kind": "batch"}, "training": {"batch_size": 2}}, {Code.SMALL_NORMALISED_BATCHES}),
    ],
)
def test_signs_of_a_configuration_before_the_first_step(tables: dict[str, Any], expected: set[Code]) -> None:
    its = setting("digits", torch.float32)
    assert codes(Diagnosis(its.examples).at_start(config(**tables))) == expected


def test_inputs_that_are_not_scaled() -> None:
    examples = setting("breast_cancer", torch.float32).examples
    assert codes(Diagnosis(examples).at_start(config())) == set()
    wild = replace(examples, x_train=examples.x_train * torch.logspace(-2, 3, examples.x_train.shape[1]))
    assert Code.INPUTS_NOT_SCALED in codes(Diagnosis(wild).at_start(config()))


class Detached(nn.Module):
    """Its first layer gets no gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x).detach())  # type: ignore[no-any-return]


def test_a_layer_without_a_gradient() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 6), torch.arange(20) % 3
    seen = probe(Detached(), x, lambda outputs: F.cross_entropy(outputs, y))
    assert list(rules.gradient(rules.Model(config=config(), probe=seen))) == [
        Sign(code=Code.NO_GRADIENT, where="first")
    ]


class Frozen(nn.Module):
    """Its second layer is no layer that is called, and never moves."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.first(x), self.second.weight.detach())


def test_weights_without_a_gradient_outside_of_layers() -> None:
    torch.manual_seed(0)
    x, y = torch.randn(20, 6), torch.arange(20) % 3
    for frozen, where in ((False, ["second"]), (True, [])):
        module = Frozen()
        module.second.requires_grad_(not frozen)
        seen = probe(module, x, lambda outputs: F.cross_entropy(outputs, y))
        found = rules.gradient(rules.Model(config=config(), probe=seen))
        assert [sign.where for sign in found if sign.code is Code.NO_GRADIENT] == where


@pytest.mark.parametrize(("rise", "named"), [(0.01, False), (0.1, True)])
def test_a_rise_of_a_loss_near_zero_is_no_overfitting(rise: float, named: bool) -> None:
    """Both rise by more than a tenth; a constant prediction has a loss of 2.3."""
    valid = [0.05] * 10 + [0.05 + rise] * 10
    curves = replace(SOUND, train_loss=[0.04] * 10 + [0.001] * 10, valid_loss=valid)
    assert bool(list(rules.overfits(curves))) is named


def test_dead_units_of_a_trained_model() -> None:
    its = setting("digits", torch.float32)
    module = models.build(config(), its.examples.signature, its.examples.outputs)
    models.initialize(module, config(), randomness.generator("init", 0, 0, 0))
    diagnosis = Diagnosis(its.examples)
    assert not diagnosis.at_end(config(), module)
    with torch.no_grad():
        module.get_submodule("linear2").bias -= 100.0
    (sign,) = diagnosis.at_end(config(), module)
    assert (sign.code, sign.figure, sign.where) == (Code.DEAD_UNITS, 1.0, "activation2")


class Gate(nn.Module):
    """A rectifier of one number an example, and one of steps of which the last are padding."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.steps, self.output = nn.Linear(6, 1), nn.Linear(2, 4), nn.Linear(4, 3)
        self.one, self.several = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        steps = self.several(self.steps(x.view(-1, 3, 2)) + 5.0)
        steps = steps * torch.tensor([1.0, 0.0, 0.0]).view(3, 1)
        gate = self.one(self.gate(x).squeeze(1) + 5.0)
        return self.output(steps.sum(1) * gate.unsqueeze(1))  # type: ignore[no-any-return]


def test_rectifiers_of_any_shape_are_looked_at() -> None:
    torch.manual_seed(0)
    seen = {layer.name: layer.dead for layer in probe(Gate(), torch.randn(20, 6)).layers}
    assert seen["one"] is None
    assert seen["several"] == 0.0


def test_classes_that_count_alike_are_not_taken_for_large_steps() -> None:
    """A rare class with weights has a loss of log 2 where nothing is known, though its entropy is near 0."""
    examples = replace(setting("breast_cancer", torch.float32).examples, counts=((980, 20),))
    assert constant_loss(examples) == pytest.approx(0.693, abs=1e-3)


def test_a_probe_leaves_the_model_as_it_was() -> None:
    its = setting("digits", torch.float32)
    for_all = config(norm={"kind": "batch"}, dropout={"p": 0.5}, init=Init().model_dump())
    module = models.build(for_all, its.examples.signature, its.examples.outputs).eval()
    before, state = repr(module), {name: value.clone() for name, value in module.state_dict().items()}
    random = torch.random.get_rng_state()
    Diagnosis(its.examples).at_end(for_all, module)
    assert repr(module) == before
    assert not module.training
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), random)
    assert not any(module._forward_hooks for module in module.modules())


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, set()),
        ({"train_loss": [2.3 - 1e-4 * e for e in range(20)]}, {Code.STEPS_TOO_SMALL}),
        ({"train_loss": [2.3, 5.0, *[4.0] * 18]}, {Code.STEPS_TOO_LARGE}),
        ({"gradient_norm": [1.0] * 15 + [500.0] + [1.0] * 4}, {Code.GRADIENT_EXPLODES}),
        ({"valid_loss": [1.0, 0.9, *[0.95 + 0.05 * e for e in range(18)]]}, {Code.OVERFITS_EARLY}),
        ({"valid_loss": [2.0 - 0.2 * e for e in range(8)] + [0.7 + 0.1 * e for e in range(12)]}, {Code.OVERFITS}),
        ({"valid_loss": [2.3 - 0.1 * e for e in range(20)]}, {Code.STILL_IMPROVING}),
        ({"valid_loss": [2.3 - 0.1 * e for e in range(20)], "complete": False}, set()),
        ({"objective": [*[0.2] * 14, 0.9, 0.3, 0.9, 0.3, 0.9, 0.3]}, {Code.UNSTABLE_END}),
        (
            {"objective": [0.5, 0.9, *[0.8] * 18], "valid_loss": [1.0, 0.5, *[0.5] * 18]},
            {Code.STOPPED_IMPROVING},
        ),
    ],
)
def test_signs_of_curves(changed: dict[str, Any], expected: set[Code]) -> None:
    assert codes(rules.of_curves(replace(SOUND, **changed))) == expected


CREEPS = replace(
    SOUND, train_loss=[2.3 - 0.002 * epoch for epoch in range(20)], updates=Updates(largest=3e-6, count=600)
)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, {Code.UPDATES_TOO_SMALL}),
        ({"complete": False, **{name: getattr(CREEPS, name)[:1] for name in CURVES}}, {Code.UPDATES_TOO_SMALL}),
        ({"updates": None}, set()),
        ({"updates": Updates(largest=2e-4, count=100)}, set()),  # as large as that of a sound training
        ({"updates": Updates(largest=9e-5, count=2000)}, set()),  # enough of them to go anywhere
        ({"train_loss": SOUND.train_loss}, set()),  # it has learnt, from weights that were good
        ({"train_loss": [2.3 - 1e-4 * epoch for epoch in range(20)]}, {Code.STEPS_TOO_SMALL}),  # which says the same
    ],
)
def test_updates_that_are_too_small(changed: dict[str, Any], expected: set[Code]) -> None:
    assert codes(rules.of_curves(replace(CREEPS, **changed))) == expected


def test_a_training_without_an_epoch_has_no_signs() -> None:
    none = replace(SOUND, train_loss=[], valid_loss=[], objective=[], gradient_norm=[])
    assert rules.of_curves(none) == []


def test_every_sign_has_words() -> None:
    assert set(WORDS) == set(Code)
