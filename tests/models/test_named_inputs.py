"""Modules of the user's own that take their inputs by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from hpo import models
from hpo.conventions import NAMED_INPUTS
from hpo.errors import InputError
from hpo.models.named_inputs import NamedInputs, example, places_of
from hpo.signature import Input, Signature
from tests.models.own import config

VALUES = Input(name="values", shape=(2, 3))
CODES = Input(name="codes", shape=(2,), sizes=(4, 9), columns=("colour", "place"))
TOKENS = Input(name="tokens", shape=(4,), sizes=(30,))
MASK = Input(name="mask", shape=(2,))
ALL = Signature(inputs=(VALUES, CODES, TOKENS, MASK))


def module(arguments: str) -> nn.Module:
    scope: dict[str, type[nn.Module]] = {"nn": nn}
    exec(f"class Net(nn.Module):\n    def forward(self, {arguments}):\n        return dict(locals())", scope)
    return scope["Net"]()


def given(arguments: str, signature: Signature, rows: Tensor) -> dict[str, Tensor]:
    own = module(arguments)
    places = places_of(own, signature)
    assert places is not None
    found: dict[str, Tensor] = NamedInputs(own, places)(rows)
    return found


def test_a_row_is_taken_apart_by_name() -> None:
    rows = torch.tensor([[*range(6), 3, 8, 5, 29, 0, 0, 1, 0], [*range(6, 12), 0, 1, 2, 2, 2, 2, 1, 1]]).float()
    found = given("mask, tokens, values, codes", ALL, rows)
    assert torch.equal(found["values"], torch.arange(12.0).view(2, 2, 3))
    assert torch.equal(found["codes"], torch.tensor([[3, 8], [0, 1]]))
    assert torch.equal(found["tokens"], torch.tensor([[5, 29, 0, 0], [2, 2, 2, 2]]))
    assert torch.equal(found["mask"], torch.tensor([[True, False], [True, True]]))


def test_one_argument_takes_the_only_input_whatever_its_name() -> None:
    text = Signature(inputs=(TOKENS,))
    rows = torch.tensor([[5.0, 1.0, 0.0, 0.0]])
    assert given("x", text, rows)["x"].dtype == torch.int64
    with_mask = given("tokens, mask", text, rows)
    assert with_mask["mask"].tolist() == [[True, True, False, False]]
    sequence = Signature(inputs=(VALUES, MASK))
    assert given("x", sequence, torch.arange(8.0)[None])["x"].shape == (1, 2, 3)
    assert places_of(module("x"), Signature.of_values(2, 3)) is None
    assert places_of(module("*x"), Signature.of_values(2, 3)) is None
    for arguments in ("values", "values, scale=2.0", "x, mask=None", "codes"):  # as before there were names
        assert places_of(module(arguments), Signature.of_values(2, 3)) is None
    later = given("x, mask=None", sequence, torch.tensor([[1.0, 2, 3, 4, 5, 6, 1, 0]]))
    assert (later["x"].shape, later["mask"].tolist()) == ((1, 2, 3), [[True, False]])


@pytest.mark.parametrize(
    ("arguments", "signature", "expected"),
    [
        ("x", ALL, "takes x, and the data give values, codes, tokens, mask; write def forward(self, values, codes, "),
        ("values, codes", ALL, "takes values, codes, and the data give"),
        ("values, codes, tokens, extra", ALL, "takes values, codes, tokens, extra, and the data give"),
        ("values, tokens", Signature.of_values(3), "its forward asks for tokens, and the data give values"),
        ("values, mask", Signature.of_values(3), "its forward asks for mask, and the data give values; leave it "),
        ("values, mask", Signature.of_values(3), "sequences have a mask where they come with lengths"),
    ],
)
def test_an_input_is_neither_left_out_nor_made_up(arguments: str, signature: Signature, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        places_of(module(arguments), signature)
    assert expected in str(caught.value)


def test_examples_hold_codes_and_tokens_that_may_occur() -> None:
    rows = example(ALL, 500, torch.Generator().manual_seed(0))
    assert rows.shape == (500, 14)
    codes, tokens = rows[:, 6:8], rows[:, 8:12]
    assert (codes.min(0).values.tolist(), codes.max(0).values.tolist()) == ([0, 0], [3, 8])
    assert (tokens[:, 0].min(), tokens.max()) == (1, 29)
    assert (tokens > 0).sum(1).tolist() == [1, 2, 3, 4] * 125
    assert rows[:2, 12:].tolist() == [[1, 0], [1, 1]]
    assert example(ALL, 1)[0].tolist() == [0] * 8 + [1] * 6
    assert example(Signature.of_values(1, 2, 2), 3).shape == (3, 1, 2, 2)


def test_the_signature_is_handed_to_a_module_that_asks(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\nclass Net(nn.Module):\n"
        "    def __init__(self, input_shape, outputs, inputs, width=3):\n"
        "        super().__init__()\n        self.seen = str((input_shape, inputs))\n"
        "        self.embed = nn.Embedding(inputs['tokens']['sizes'][0], width)\n"
        "        self.output = nn.Linear(width, outputs)\n\n"
        "    def forward(self, x):\n        return self.output(self.embed(x).mean(1))\n"
    )
    signature = Signature(inputs=(TOKENS,))
    model = models.build(config(f"{tmp_path}/net.py:Net", width=5), signature, 2)
    assert model.get_submodule("custom.own").seen == "((4,), {'tokens': {'shape': [4], 'sizes': [30]}})"
    assert model(torch.tensor([[29.0, 1.0, 0.0, 0.0]])).shape == (1, 2)
    text = (tmp_path / "net.py").read_text().replace("(self, input_shape, outputs, inputs,", "(self, inputs, outputs,")
    (tmp_path / "first.py").write_text(text.replace("str((input_shape, inputs))", "str(inputs)"))
    model = models.build(config(f"{tmp_path}/first.py:Net", width=5), signature, 2)
    assert model.get_submodule("custom.own").seen == "{'tokens': {'shape': [4], 'sizes': [30]}}"
    with pytest.raises(InputError, match="It takes width"):
        models.build(config(f"{tmp_path}/first.py:Net", depth=5), signature, 2)


def test_an_argument_of_ones_own_may_be_called_inputs(tmp_path: Path) -> None:
    """Where the study gives it, and in studies that began before the name had a meaning."""
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\nclass Net(nn.Linear):\n    def __init__(self, input_shape, outputs, inputs=3):\n"
        "        super().__init__(input_shape[0], outputs)\n        self.seen = inputs\n"
    )
    mine = config(f"{tmp_path}/net.py:Net")
    assert models.build(config(f"{tmp_path}/net.py:Net", inputs=5), Signature.of_values(4), 2).custom.seen == 5
    before = mine.model_copy(update={"conventions": NAMED_INPUTS - 1})
    assert models.build(before, Signature.of_values(4), 2).custom.seen == 3
    assert models.build(mine, Signature.of_values(4), 2).custom.seen == {"values": {"shape": [4]}}


@pytest.mark.parametrize(
    ("one", "said"), [(CODES, "takes no categories as codes. Take"), (TOKENS, "takes a text alone")]
)
def test_a_family_that_takes_values_says_so(one: Input, said: str) -> None:
    plain = config("a.b:C").model_dump() | {"model": {"family": "cnn"}}
    with pytest.raises(InputError, match=said):
        models.build(type(config("a.b:C")).model_validate(plain), Signature(inputs=(VALUES, one)), 2)
