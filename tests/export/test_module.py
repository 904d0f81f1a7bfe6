"""The generated file: every kind of layer survives, nothing idle is written, and it reads well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from hpo import models
from hpo.data.preprocessing.apply import features_of_frame
from hpo.data.preprocessing.fitted import Preprocessing
from hpo.export.module import LINE, expression, module_source
from hpo.models.activations import ACTIVATIONS
from hpo.signature import Input, Signature
from hpo.studyfile.records import TrialConfig
from tests.training.ragged.models import CASES, build, rows

MODULES = [
    nn.Linear(3, 4),
    nn.Linear(3, 4, bias=False),
    nn.Conv2d(1, 8, 3, padding=1),
    nn.Conv2d(1, 8, (3, 5), padding="same", padding_mode="reflect", stride=1),
    nn.BatchNorm1d(4),
    nn.BatchNorm1d(4, affine=False),
    nn.BatchNorm2d(4, momentum=0.25),
    nn.LayerNorm([2, 3]),
    nn.LayerNorm([4], elementwise_affine=False),
    nn.GroupNorm(2, 4),
    nn.GroupNorm(2, 4, affine=False),
    nn.RMSNorm([4], eps=1e-5),
    nn.RMSNorm([4], eps=1e-5, elementwise_affine=False),
    nn.Dropout(0.5),
    nn.Dropout2d(0.1),
    nn.MaxPool2d(2),
    nn.MaxPool2d(3, stride=1),
    nn.Flatten(),
    nn.GELU("tanh"),
    *(make() for make in ACTIVATIONS.values()),
]

CONFIGS: dict[str, dict[str, Any]] = {
    "mlp": {"model": {"family": "mlp", "hidden": [5, 4]}, "dropout": {"p": 0.3, "input": 0.1}},
    "linear": {"model": {"family": "mlp", "hidden": []}},
    "residual": {"model": {"family": "mlp", "hidden": [5, 5, 4], "residual": True}, "norm": {"kind": "batch"}},
    "batch": {
        "model": {"family": "mlp", "hidden": [5, 4], "activation": "gelu"},
        "norm": {"kind": "batch", "placement": "after_activation", "momentum": 0.25, "affine": False},
    },
    "layer": {"model": {"family": "mlp"}, "norm": {"kind": "layer", "placement": "input"}},
    "cnn": {
        "model": {"family": "cnn", "channels": [4, 8], "kernel": 5, "hidden": [6], "activation": "elu"},
        "norm": {"kind": "group", "groups": 2, "affine": False},
        "dropout": {"p": 0.1, "spatial": True},
    },
    "residual cnn": {
        "model": {"family": "cnn", "channels": [4, 4], "residual": True, "depthwise": True, "pooling": "stride"},
        "norm": {"kind": "batch"},
    },
    "average": {"model": {"family": "cnn", "channels": [4, 8], "pooling": "average", "head": "average"}},
}


def config_of(name: str) -> TrialConfig:
    return TrialConfig.model_validate({"optimizer": {"name": "adam"}, **CONFIGS[name]})


def preprocessing(**changes: Any) -> Preprocessing:
    """As fitted on images of 8x8 pixels."""
    values: dict[str, Any] = {
        "kind": "image",
        "task": "classification",
        "input_shape": (1, 8, 8),
        "numeric_names": tuple(f"pixel_{n}" for n in range(64)),
        "fills": tuple(n / 7 for n in range(64)),
        "offsets": tuple(n / 9 for n in range(64)),
        "scales": tuple(1 + n / 3 for n in range(64)),
        "indicators": (),
        "categorical_names": (),
        "categories": (),
        "target_name": "digit",
        "class_names": ("a", "b", "c"),
        "target_offset": 0.0,
        "target_scale": 1.0,
    }
    return Preprocessing(**{**values, **changes})


MIXED = preprocessing(
    kind="tabular",
    input_shape=(6,),
    numeric_names=("area", "rooms"),
    fills=(100.5, 3.25),
    offsets=(100.5, 3.25),
    scales=(40.75, 1.5),
    indicators=("rooms", None),
    categorical_names=("heating",),
    categories=(("gas", None),),
)


WORDS = {
    "kind": "tabular",
    "input_shape": (9,),
    "numeric_names": ("area",),
    "fills": (1.0,),
    "offsets": (1.0,),
    "scales": (1.0,),
    "categorical_names": ("heating", "street"),
    "categories": (("gas", "oil"), ("a",)),
    "codes": True,
    "text_names": ("about",),
    "words": ("good", "bad"),
    "vocabulary": 5,
    "tokens": 6,
}
"""What is fitted on a table with numbers, codes and words."""
WIDE = {
    **WORDS,
    "input_shape": (57,),
    "categorical_names": tuple(f"street {number}" for number in range(50)),
    "categories": (("a", "b"),) * 50,
}


def executed(text: str, folder: Path | str = ".") -> dict[str, Any]:
    namespace: dict[str, Any] = {"__file__": str(Path(folder) / "model.py")}
    exec(text, namespace)
    return namespace


@pytest.mark.parametrize("module", MODULES, ids=repr)
def test_an_expression_makes_the_same_module(module: nn.Module) -> None:
    again = eval(expression(module), {"nn": nn})
    assert type(again) is type(module)
    assert repr(again) == repr(module)


def test_an_expression_says_no_more_than_needed() -> None:
    assert expression(nn.BatchNorm1d(4, affine=False)) == "nn.BatchNorm1d(4, affine=False)"
    assert expression(nn.Conv2d(1, 8, 3, padding="same")) == 'nn.Conv2d(1, 8, kernel_size=(3, 3), padding="same")'
    assert expression(nn.MaxPool2d(2)) == "nn.MaxPool2d(kernel_size=2)"
    assert expression(nn.ReLU()) == "nn.ReLU()"


@pytest.mark.parametrize("name", CONFIGS)
def test_the_file_builds_the_model_with_the_trials_weights(name: str) -> None:
    model = models.build(config_of(name), Signature.of_values(1, 8, 8), 3)
    namespace = executed(module_source("Trial 1", model, preprocessing(), replicas=1))
    copy = namespace["build"]()
    copy.load_state_dict(model.state_dict())
    examples = torch.randn(5, 1, 8, 8)
    assert torch.equal(copy.eval()(examples), model.eval()(examples))
    kinds = {type(child) for child in copy.children()}
    assert nn.Identity not in kinds
    assert not any(isinstance(child, nn.Dropout) and child.p == 0 for child in copy.children())
    trained = [child for child in model if isinstance(child, nn.Dropout | nn.Dropout2d) and child.p > 0]
    assert sum(isinstance(child, nn.Dropout | nn.Dropout2d) for child in copy) == len(trained)


@pytest.mark.parametrize("numbers", ["periodic", "piecewise_linear"])
def test_vectors_of_numbers_are_built_as_in_training(numbers: str) -> None:
    model = models.build(
        TrialConfig.model_validate({"model": {"family": "mlp", "numbers": numbers}, "optimizer": {"name": "adam"}}),
        MIXED.signature,
        3,
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    copy = executed(module_source("Trial 1", model, MIXED, replicas=1))["build"]()
    copy.load_state_dict(model.state_dict())
    examples = torch.randn(5, 6)
    assert torch.equal(copy.eval()(examples), model.eval()(examples))


@pytest.mark.parametrize("pooling", ["max", "stride"])
def test_the_file_builds_convolutions_along_steps(pooling: str) -> None:
    config = TrialConfig.model_validate(
        {
            "model": {"family": "cnn", "channels": [4, 6], "residual": True, "pooling": pooling},
            "norm": {"kind": "batch"},
            "optimizer": {"name": "adam"},
        }
    )
    inputs = (Input(name="values", shape=(9, 3)), Input(name="mask", shape=(9,)))
    model = models.build(config, Signature(inputs=inputs), 3)
    copy = executed(module_source("Trial 1", model, preprocessing(), replicas=1))["build"]()
    copy.load_state_dict(model.state_dict())
    examples = torch.randn(5, 36)
    examples[:, 27:] = (torch.arange(9) < torch.tensor([[9], [5], [1], [4], [8]])).float()
    assert torch.equal(copy.eval()(examples), model.eval()(examples))


@pytest.mark.parametrize("case", CASES)
def test_a_transformer_needs_nothing_of_this_package(case: str) -> None:
    model = build(case).eval()
    text = module_source("Trial 1", model, preprocessing(kind="sequence", input_shape=(20, 5)), replicas=1)
    assert "hpo" not in text
    assert max(map(len, text.splitlines())) <= LINE
    copy = executed(text)["build"]()
    copy.load_state_dict(model.state_dict())
    x = rows(case, 1)[0].float()
    torch.testing.assert_close(copy.eval()(x), model(x), rtol=0, atol=1e-6)


def test_numbers_are_preprocessed_as_in_training(tmp_path: Path) -> None:
    fitted = [preprocessing(), preprocessing(offsets=(0.5,) * 64)]
    _store(tmp_path, fitted)
    raw = np.random.default_rng(0).uniform(0, 16, (5, 64))
    raw[1, 3] = raw[4, 60] = np.nan
    frame = pd.DataFrame(raw, columns=list(fitted[0].numeric_names))
    model = models.build(config_of("mlp"), Signature.of_values(1, 8, 8), 3)
    preprocess = executed(module_source("Trial 1", model, fitted[0], replicas=1), tmp_path)["preprocess"]
    assert np.array_equal(preprocess(torch.from_numpy(raw)).numpy(), features_of_frame(fitted[0], frame))
    preprocess = executed(module_source("Trial 1", model, fitted[0], replicas=2))["preprocess"]
    found = preprocess(torch.from_numpy(raw).reshape(5, 1, 8, 8), tmp_path, replica=1)
    assert np.array_equal(found.numpy(), features_of_frame(fitted[1], frame))


def test_rows_with_categories_are_preprocessed_as_in_training(tmp_path: Path) -> None:
    _store(tmp_path, [MIXED])
    rows = [
        {"area": 80.0, "rooms": 2, "heating": "gas", "more": "ignored"},
        {"area": None, "rooms": None, "heating": None},
        {"area": float("nan"), "rooms": 4, "heating": "coal"},
    ]
    model = models.build(config_of("mlp"), Signature.of_values(6), 3)
    preprocess = executed(module_source("Trial 1", model, MIXED, replicas=1), tmp_path)["preprocess"]
    assert np.array_equal(preprocess(rows).numpy(), features_of_frame(MIXED, pd.DataFrame(rows)))
    with pytest.raises(KeyError, match="rooms"):
        preprocess([{"area": 1.0, "heating": "gas"}])


@pytest.mark.parametrize("name", CONFIGS)
def test_the_file_is_as_a_formatter_leaves_it(name: str, tmp_path: Path) -> None:
    regression = preprocessing(task="regression", class_names=(), target_scale=2.5)
    model = models.build(config_of(name), Signature.of_values(1, 8, 8), 3)
    tables = models.build(config_of("mlp"), Signature.of_values(6), 3)
    texts = [
        module_source("Trial 1 of the study s", model, preprocessing(), replicas=1),
        module_source("Trial 1 of the study s", model, regression, replicas=5),
        module_source("Trial 1 of the study s", tables, MIXED, replicas=1),
        module_source("Trial 1 of the study s", tables, MIXED, replicas=5),
        *(
            module_source("Trial 1", models.build(config_of("mlp"), one.signature, 3), one, replicas=1)
            for one in (preprocessing(**WORDS), preprocessing(**WIDE))
        ),
    ]
    files = [tmp_path / f"model{number}.py" for number in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
        assert max(map(len, text.splitlines())) <= LINE
    for arguments in (["check", "--isolated", "--select", "E,F,W,I,B,UP,SIM,RUF"], ["format", "--isolated", "--diff"]):
        subprocess.run([sys.executable, "-m", "ruff", *arguments, *files], check=True, timeout=60)


def _store(folder: Path, fitted: list[Preprocessing]) -> None:
    from hpo.export.files import json_bytes

    (folder / "preprocessing.json").write_bytes(json_bytes([each.as_dict() for each in fitted]))
