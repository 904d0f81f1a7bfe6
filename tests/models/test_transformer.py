"""What the keys of a transformer build, how its weights start, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from hpo import models
from hpo.errors import InputError
from hpo.models.layers.attention import Attention, Positions
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig
from tests.training.ragged.models import CASES, MASKED, OUTPUTS, TEXT, build, config_of, rows, signature_of


def made(signature: Signature | None = None, **tables: Any) -> nn.Sequential:
    model = {"family": "transformer", **tables.pop("model", {})}
    config = TrialConfig.model_validate({"model": model, "optimizer": {"name": "sgd"}, **tables})
    return models.build(config, signature or signature_of(MASKED), OUTPUTS)


def test_children_are_in_order() -> None:
    layer = [
        "skip_attention1", "norm_attention1", "query_key_value1", "attention1", "attention_out1", "dropout_attention1",
        "add_attention1", "skip_feedforward1", "norm_feedforward1", "linear1", "activation1", "dropout1",
        "linear_out1", "dropout_feedforward1", "add_feedforward1",
    ]  # fmt: skip
    begin = ["steps", "norm_input", "dropout_input", "project"]
    found = [name for name, _ in made(model={"depth": 1}).named_children()]
    assert found == [*begin, "positions", *layer, "norm_output", "pool", "output"]
    post = [name for name, _ in made(model={"depth": 1, "norm_first": False, "positions": "none"}).named_children()]
    for branch in ("attention1", "feedforward1"):
        layer.remove(f"norm_{branch}")
        layer.insert(layer.index(f"add_{branch}") + 1, f"norm_{branch}")
    assert post == [*begin, *layer, "pool", "output"]
    text = made(signature_of(TEXT), model={"depth": 1, "pooling": "class_token"})
    assert [name for name, _ in text.named_children()][:5] == [
        "steps", "norm_input", "dropout_input", "class_token", "positions"
    ]  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_every_kind_gives_outputs_for_every_example(case: str) -> None:
    assert build(case).double()(rows(case, 1)[0]).shape == (7, OUTPUTS)


def test_dropout_is_where_pytorch_has_it() -> None:
    model = made(dropout={"p": 0.3, "first": 0.1, "input": 0.05, "attention": 0.2})
    p = {name: child.p for name, child in model.named_children() if isinstance(child, nn.Dropout)}
    assert p.pop("dropout_input") == 0.05
    assert p == {
        f"dropout{place}{n}": (0.1, 0.3)[n - 1] for n in (1, 2) for place in ("_attention", "", "_feedforward")
    }
    assert [child.dropout for child in model if isinstance(child, Attention)] == [0.2, 0.2]
    default = made(dropout={"p": 0.3})
    assert [child.dropout for child in default if isinstance(child, Attention)] == [0.3, 0.3]


def test_waves_are_those_of_the_paper() -> None:
    table = Positions(50, 8, "sinusoidal").table
    t, i = 17, 2
    assert table[t, 2 * i] == pytest.approx(torch.sin(torch.tensor(t / 10000 ** (2 * i / 8))).item(), abs=1e-6)
    assert table[t, 2 * i + 1] == pytest.approx(torch.cos(torch.tensor(t / 10000 ** (2 * i / 8))).item(), abs=1e-6)
    assert Positions(5, 7, "sinusoidal").table.shape == (5, 7)
    words = models.build(config_of("text"), signature_of(TEXT), OUTPUTS).get_submodule("positions")
    assert isinstance(words, Positions)
    assert words.table.norm(dim=1) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_all_weights_are_set(case: str) -> None:
    model = build(case)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(7)
    models.initialize(model, config_of(case), torch.Generator().manual_seed(0))
    for name, parameter in model.named_parameters():
        assert not (parameter == 7).any(), name
        if name.endswith("bias"):
            assert (parameter == 0).all()
        elif name.startswith("norm"):
            assert (parameter == 1).all()


def test_without_normalisation_a_layer_begins_as_the_identity() -> None:
    config = config_of("pre-norm", norm={"kind": "none"})
    model = models.build(config, signature_of(MASKED), OUTPUTS)
    models.initialize(model, config, torch.Generator().manual_seed(0))
    flat = nn.Sequential(*(model.get_submodule(name) for name in ("steps", "project", "positions", "pool", "output")))
    x = rows("pre-norm", 1)[0].float()
    begun = models.layers.assemble(list(flat.named_children()))
    assert torch.equal(model.eval()(x), begun(x))
    normed = build("pre-norm")
    models.initialize(normed, config_of("pre-norm"), torch.Generator().manual_seed(0))
    assert normed.get_parameter("linear_out1.weight").any()


@pytest.mark.parametrize(
    ("signature", "tables", "expected"),
    [
        (None, {"model": {"heads": 5}}, "model.heads = 5 does not divide model.width = 32: .* Take a width of 35"),
        (None, {"norm": {"kind": "batch"}}, 'norm.kind = "batch" has no place .* Take "layer" or "rms"'),
        (
            None,
            {"norm": {"kind": "layer", "placement": "after_activation"}},
            "model.norm_first says where it normalises. Leave norm.placement out",
        ),
        (None, {"norm": {"kind": "group", "groups": 5}}, "norm.groups = 5 does not divide the 32 channels of layer 1"),
        (Signature.of_values(9), {}, r'needs sequences .* values of shape \(9,\). Take model.family = "mlp"'),
        (Signature.of_values(1, 8, 8), {}, 'needs sequences .* "cnn" for images'),
    ],
)
def test_what_does_not_fit_is_refused(signature: Signature | None, tables: dict[str, Any], expected: str) -> None:
    with pytest.raises(InputError, match=expected):
        made(signature, **tables)
