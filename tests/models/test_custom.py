"""A module of the user's own: how it is called, where its weights come from, and every way in which it can be wrong."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from hpo import own_code as source
from hpo.errors import InputError
from hpo.models import initialize
from hpo.studyfile.custom import Reference
from tests.models.own import NET, config, write
from tests.models.values import build

FORWARD = "\n    def forward(self, x):\n        return self.output(x)\n"
START = (
    "import torch\nfrom torch import nn\n\nclass Net(nn.Module):\n    def __init__(self, input_shape, outputs):\n"
    "        super().__init__()\n        self.output = nn.Linear(input_shape[0], outputs)\n"
)


def made(folder: Path, text: str = NET, shape: tuple[int, ...] = (5,), outputs: int = 3, **options: Any) -> nn.Module:
    seed = options.pop("seed", 0)
    return build(config(f"{write(folder, text)}:Net", **options), shape, outputs, seed)


def test_it_is_called_with_shape_outputs_and_arguments(tmp_path: Path) -> None:
    text = (
        "from torch import nn\n\ndef Net(input_shape, outputs, **arguments):\n"
        "    model = nn.Linear(input_shape[0], outputs)\n    model.seen = (input_shape, outputs, arguments)\n"
        "    return model\n"
    )
    model = made(tmp_path, text, a=1, b=2.0, c="x", d=[1, 2.5], e=True, f=[])
    assert [name for name, _ in model.named_children()] == ["custom"]
    assert repr(model.custom.seen) == repr(((5,), 3, {"a": 1, "b": 2.0, "c": "x", "d": [1, 2.5], "e": True, "f": []}))
    assert set(model.state_dict()) == {"custom.weight", "custom.bias"}
    assert model.training


def test_the_seed_alone_decides_the_weights(tmp_path: Path) -> None:
    def weights(seed: int) -> torch.Tensor:
        model = made(tmp_path, seed=seed)
        initialize(model, config("net.py:Net"), torch.Generator())
        return nn.utils.parameters_to_vector(model.parameters())

    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = weights(7)
    assert torch.equal(state, torch.random.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, weights(7))
    assert not torch.equal(first, weights(8))


def test_images_and_lazy_layers(tmp_path: Path) -> None:
    text = (
        "from torch import nn\n\ndef Net(input_shape, outputs):\n"
        "    return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(outputs))\n"
    )
    model = made(tmp_path, text, shape=(2, 6, 6))
    assert model(torch.zeros(7, 2, 6, 6)).shape == (7, 3)
    assert dict(model.named_parameters())["custom.2.weight"].shape == (3, 64)


def test_a_package_is_imported_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, NET, "my_nets/wide.py")
    monkeypatch.syspath_prepend(tmp_path)
    model = build(config("my_nets.wide:Net", width=4), (5,), 3)
    assert type(model.get_submodule("custom")).__module__ == "my_nets.wide"
    assert source.pin(Reference.of("my_nets.wide:Net")) == source.pin(Reference.of(f"{tmp_path}/my_nets/wide.py:Net"))


def test_a_file_is_read_again_unless_its_study_has_begun(tmp_path: Path) -> None:
    def width(text: str) -> int:
        return made(tmp_path, text).custom.hidden.out_features

    wider, widest = NET.replace("width=8", "width=9"), NET.replace("width=8", "width=10")
    assert (width(NET), width(wider)) == (8, 9)
    before = source.pin(Reference.of(f"{tmp_path}/net.py:Net"))
    assert width(widest) == 9
    assert source.pin(Reference.of(f"{tmp_path}/net.py:Net")) != before
    assert width(NET) == 10


def test_dataclasses_work_in_a_file(tmp_path: Path) -> None:
    text = "from __future__ import annotations\nfrom dataclasses import dataclass\n\n"
    assert made(tmp_path, text + "@dataclass\nclass A:\n    a: int = 1\n" + NET)


def test_constant_buffers_and_tensors_kept_while_running_are_fine(tmp_path: Path) -> None:
    text = START + (
        "        self.register_buffer('features', torch.randn(input_shape[0]))\n"
        "        self.register_buffer('mask', torch.ones(input_shape[0]), persistent=False)\n"
        "    def forward(self, x):\n        self.last = x\n        return self.output(x * self.features * self.mask)\n"
    )
    assert {name for name, _ in made(tmp_path, text).named_buffers()} == {"custom.features", "custom.mask"}


WRONG: list[tuple[str, str, dict[str, Any]]] = [
    ("class Nett: pass", 'there is no Net in it. Did you mean "Nett"? It defines Nett.', {}),
    ("def model(): pass", "there is no Net in it. It defines model.", {}),
    ("import torch", "there is no Net in it. It defines no class and no function.", {}),
    ("Net = 3", "Net is an int; it must be a class or a function that gives a torch.nn.Module", {}),
    ("def Net(:", "running net.py raised SyntaxError: invalid syntax (net.py, line 1).", {}),
    ("x = 1\n1 / 0", "running net.py raised ZeroDivisionError: division by zero (net.py, line 2)", {}),
    ("import sys\nsys.exit(3)", "running net.py raised SystemExit: 3 (net.py, line 2)", {}),
    ("import blocks", "a package: install it and write", {}),
    (NET, 'model.arguments.widht: Net takes no argument widht. Did you mean "width"? It takes width, ac', {"widht": 1}),
    ("def Net(a, b): pass", "It takes none beside (input_shape, outputs)", {"width": 1}),
    ("def Net(a, b, c): pass", "missing a required argument: 'c'. What model.arguments does not give needs", {}),
    ("def Net(a): pass", "called as Net(input_shape, outputs), but: too many positional arguments", {}),
    (NET, "Net((5,), 3, activation='x') raised KeyError: 'x' (net.py, line 11)", {"activation": "x"}),
    ("def Net(a, b): pass", "Net((5,), 3) gave a NoneType; it must give a torch.nn.Module", {}),
    (START, "Net((5,), 3), applied to a batch [2, 5], raised NotImplementedError", {}),
    (START + FORWARD.replace("(x)", "(x.T)"), "raised RuntimeError: mat1 and mat2 shapes cannot be multiplied", {}),
    (START + FORWARD.replace("(x)", "(x)[:, :2]"), "gave torch.float32 [2, 2] for a batch [2, 5]; it must", {}),
    (START + FORWARD.replace("(x)", "(x).sum(1)"), "gave torch.float32 [2] for", {}),
    (START + FORWARD.replace("(x)", "(x).argmax(1), 1"), "gave a tuple for a batch [2, 5]; it must give real", {}),
    (START + FORWARD.replace("(x)", "(x).long()"), "gave torch.int64 [2, 3] for a batch", {}),
    ("from torch import nn\ndef Net(a, b): return nn.AdaptiveAvgPool1d(b)", "it has no parameters, so there is", {}),
    (
        START + "        self.requires_grad_(False)" + FORWARD,
        "all of its parameters are frozen, so there is nothing to train; leave requires_grad=True in some",
        {},
    ),
    (START + "        self.scale = torch.ones(3)" + FORWARD, "it keeps a tensor in scale, where nothing saves it", {}),
    (START + "        self.all = [torch.ones(3)]" + FORWARD, "it keeps a tensor in all, where nothing saves it", {}),
    (
        START + "        self.norm = nn.BatchNorm1d(3, momentum=None)" + FORWARD,
        "norm averages over all batches alike; give it a momentum",
        {},
    ),
    (
        START + "        self.norm = nn.BatchNorm1d(5)\n"
        "    def forward(self, x):\n        return self.output(self.norm(self.norm(x)))\n",
        "norm normalises several times in one pass; give each place a layer of its own",
        {},
    ),
    (
        START + "        self.register_buffer('steps', torch.zeros(1))\n"
        "    def forward(self, x):\n        self.steps += self.training\n        return self.output(x)\n",
        "its buffer steps changes in training; only the running averages",
        {},
    ),
    (
        START + "        self.steps = 0\n"
        "    def forward(self, x):\n        self.steps += self.training\n        return self.output(x)\n",
        "its attribute steps changes in training, but nothing of a model is saved beside parameters",
        {},
    ),
    (
        START + "        torch.nn.utils.parametrizations.spectral_norm(self.output)" + FORWARD,
        "its buffer output.parametrizations.weight.0._u changes in training",
        {},
    ),
    (
        START + "        self.register_buffer('noise', torch.randn(1), persistent=False)" + FORWARD,
        "its buffer noise is random, so it must be saved with the weights; leave out persistent=False",
        {},
    ),
    (
        START + "    def forward(self, x):\n        assert not self.training\n        return self.output(x)\n",
        "AssertionError, when a copy of it was tried in training mode",
        {},
    ),
]


@pytest.mark.parametrize(("text", "expected", "arguments"), WRONG, ids=range(len(WRONG)))
def test_what_cannot_be_used_is_refused(text: str, expected: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        made(tmp_path, text, **arguments)
    message = str(caught.value)
    assert expected in message
    assert "\n" not in message
    assert message.endswith(".")


def test_batch_normalisation_is_refused_where_batches_have_one_example(tmp_path: Path) -> None:
    text = "from torch import nn\ndef Net(a, b): return nn.Sequential(nn.BatchNorm1d(a[0]), nn.Linear(a[0], b))"
    plain = config(f"{write(tmp_path, text)}:Net")
    build(plain, (5,), 3)
    alone = plain.model_copy(update={"training": plain.training.model_copy(update={"batch_size": 1})})
    with pytest.raises(InputError, match=r"needs at least 2 examples in a batch; raise training\.batch_size"):
        build(alone, (5,), 3)


def test_missing_files_and_packages_are_named(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(InputError, match=r'there is no file .*/ned.py. Did you mean "net.py"\? A path is taken from'):
        build(config(f"{tmp_path}/ned.py:Net"), (5,), 3)
    with pytest.raises(InputError, match=r"no module no_such_package\.nets can be imported\. Install it"):
        build(config("no_such_package.nets:Net"), (5,), 3)
    with pytest.raises(InputError, match="math is no Python source"):
        build(config("math:sin"), (5,), 3)


def test_a_file_that_fails_leaves_no_module_behind(tmp_path: Path) -> None:
    before = set(sys.modules)
    with pytest.raises(InputError):
        made(tmp_path, "1 / 0")
    assert not {name for name in set(sys.modules) - before if name.startswith("hpo_custom")}
