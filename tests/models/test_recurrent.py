"""The recurrent family: its children, how they start, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hpo import models
from hpo.errors import InputError
from hpo.models.layers.normed_recurrent import NormedRecurrent
from hpo.models.layers.recurrent import Recurrent
from hpo.models.layers.step_norms import StepBatchNorm, StepGroupNorm
from hpo.signature import Input, Signature
from hpo.studyfile.records import TrialConfig

VALUES = Input(name="values", shape=(6, 3))
MASK = Input(name="mask", shape=(6,))
TOKENS = Input(name="tokens", shape=(5,), sizes=(9,))


def config(norm: dict[str, Any] | None = None, scheme: str = "kaiming_uniform", **model: Any) -> TrialConfig:
    return TrialConfig.model_validate(
        {
            "model": {"family": "recurrent", "width": 4, **model},
            "init": {"scheme": scheme},
            "norm": norm or {"kind": "none"},
            "optimizer": {"name": "adam"},
        }
    )


def build(its: TrialConfig, *inputs: Input) -> nn.Sequential:
    return models.build(its, Signature(inputs=inputs or (VALUES, MASK)), 2)


def test_every_slot_in_order() -> None:
    model = build(config(layers=2, bidirectional=True, hidden=[5], pooling="max"))
    assert [name for name, _ in model.named_children()] == [
        "steps", "norm_input", "dropout_input",
        "norm1_before", "recurrent1", "norm1_after", "dropout1",
        "norm2_before", "recurrent2", "norm2_after", "dropout2",
        "linear3", "norm3_before", "activation3", "norm3_after", "dropout3",
        "output",
    ]  # fmt: skip
    assert repr(model.get_submodule("recurrent2")) == (
        "Recurrent(cell='GRU', features=8, units=4, directions=2, pooling='max')"
    )
    assert model(torch.cat([torch.randn(7, 18), torch.ones(7, 6)], 1)).shape == (7, 2)


@pytest.mark.parametrize(
    ("norm", "between", "pooled"),
    [
        ({"kind": "batch"}, StepBatchNorm, nn.BatchNorm1d),
        ({"kind": "layer"}, nn.LayerNorm, nn.LayerNorm),
        ({"kind": "group", "groups": 2}, StepGroupNorm, nn.GroupNorm),
    ],
)
def test_norms_stand_before_or_after_layers(norm: dict[str, Any], between: type, pooled: type) -> None:
    after = build(config({**norm, "placement": "after_activation"}, layers=2))
    assert type(after.get_submodule("norm1_after")) is between
    assert type(after.get_submodule("norm2_after")) is pooled
    assert isinstance(after.get_submodule("norm2_before"), nn.Identity)
    before = build(config({**norm, "every": 2}, layers=3), TOKENS)
    found = [type(before.get_submodule(f"norm{n}_before")) for n in (1, 2, 3)]
    assert found == [between, nn.Identity, between]


def test_norms_in_the_cell_are_part_of_every_nth_layer() -> None:
    its = config({"kind": "rms", "placement": "cell", "every": 2, "affine": True}, layers=3, cell="lstm")
    model = build(its)
    assert repr(model.get_submodule("recurrent1")) == (
        "NormedRecurrent(cell='LSTM', features=3, units=4, directions=1, pooling='', norm='rms', affine=True)"
    )
    assert [type(model.get_submodule(f"recurrent{n}")) for n in (2, 3)] == [Recurrent, NormedRecurrent]
    assert all(isinstance(model.get_submodule(f"norm{n}_after"), nn.Identity) for n in (1, 2, 3))
    nn.init.zeros_(model.get_parameter("recurrent1.scale_c"))
    models.initialize(model, its, torch.Generator().manual_seed(0))
    assert torch.equal(model.get_parameter("recurrent1.scale_c"), torch.ones(4))
    single = build(its.model_copy(update={"model": its.model.model_copy(update={"width": 1})}))
    assert type(single.get_submodule("recurrent1")) is Recurrent, "of one number, norms make 0"


def test_the_scheme_acts_on_each_gate_alone() -> None:
    its = config(scheme="orthogonal", cell="lstm", bidirectional=True)
    model = build(its)
    models.initialize(model, its, torch.Generator().manual_seed(0))
    layer = model.get_submodule("recurrent1")
    assert isinstance(layer, Recurrent)
    for name, tensor in layer.run.named_parameters():
        if "bias" in name:
            assert not tensor.any()
        elif "hh" in name:
            for gate in tensor.detach().split(4):
                torch.testing.assert_close(gate @ gate.T, torch.eye(4))


def test_words_and_sequences_of_one_length_are_taken() -> None:
    assert build(config(), TOKENS)(torch.tensor([[2.0, 3, 1, 0, 0]])).shape == (1, 2)
    assert build(config(), VALUES)(torch.randn(3, 6, 3)).shape == (3, 2)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ((Input(name="values", shape=(1, 8, 8)),), 'family = "cnn"'),
        ((Input(name="values", shape=(8,)),), "data.shape"),
        ((Input(name="codes", shape=(2,), sizes=(3, 3)),), 'family = "mlp"'),
        ((Input(name="values", shape=(8,)), TOKENS), "ignored in"),
    ],
)
def test_other_inputs_are_refused_with_a_way_out(inputs: tuple[Input, ...], words: str) -> None:
    with pytest.raises(InputError, match=r"model\.family") as refused:
        build(config(), *inputs)
    assert words in str(refused.value)


def test_a_plain_cell_has_an_activation_of_its_own() -> None:
    layer = build(config(cell="rnn", activation="relu")).get_submodule("recurrent1")
    assert isinstance(layer, Recurrent)
    assert layer.cell == "RNN_RELU"
    with pytest.raises(InputError, match=r"model\.activation"):
        build(config(cell="rnn", activation="gelu"))
