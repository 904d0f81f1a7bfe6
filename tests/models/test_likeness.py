"""Which modules of the user's own may share a program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hpo.models import shape_key
from hpo.models.likeness import likeness
from tests.models.own import config, write
from tests.models.values import build


def key(folder: Path, **arguments: Any) -> tuple[str, ...]:
    return shape_key(build(config(f"{write(folder)}:Net", **arguments), (5,), 3, seed=len(arguments)))


def test_weights_and_dropout_do_not_tell_apart_and_widths_do(tmp_path: Path) -> None:
    assert key(tmp_path) == key(tmp_path, p=0.3) == key(tmp_path, width=8, p=0.5)
    assert key(tmp_path) != key(tmp_path, width=9)
    assert key(tmp_path) != key(tmp_path, activation="tanh")


class Flexible(nn.Module):
    """Computes what its attributes say."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        for name, value in attributes.items():
            setattr(self, name, value)


def tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    module[2].weight = module[0].weight
    return module


def otherwise_tied() -> nn.Module:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2), nn.Linear(2, 2))
    module[2].weight = module[1].weight
    return module


def hooked() -> nn.Module:
    module = nn.Linear(2, 2)
    module.register_forward_hook(lambda module, inputs, output: output * 2)
    return module


def local() -> nn.Module:
    class Local(Flexible):
        pass

    return Local()


ALIKE: list[Callable[[], nn.Module]] = [
    lambda: Flexible(scale=0.5, name="x", sizes=[1, (2, 3)], table={"a": None}, flags={1, 2}),
    lambda: Flexible(function=F.relu, dtype=torch.float64),
    tied,
    lambda: nn.BatchNorm1d(3),
    lambda: nn.LSTM(2, 3),
    lambda: nn.TransformerEncoderLayer(4, 2, 8),
    lambda: nn.utils.parametrizations.weight_norm(nn.Linear(2, 2)),
]

DIFFERENT: list[tuple[Callable[[], nn.Module], Callable[[], nn.Module]]] = [
    (lambda: Flexible(scale=0.5), lambda: Flexible(scale=0.25)),
    (lambda: Flexible(scale=1), lambda: Flexible(scale=1.0)),
    (lambda: Flexible(scale=True), lambda: Flexible(scale=1)),
    (lambda: Flexible(sizes=[1]), lambda: Flexible(sizes=(1,))),
    (lambda: Flexible(function=F.relu), lambda: Flexible(function=F.gelu)),
    (lambda: Flexible(function=lambda x: x), lambda: Flexible(function=lambda x: x)),
    (lambda: Flexible(), lambda: Flexible(scale=None)),
    (tied, otherwise_tied),
    (lambda: nn.Linear(2, 2), hooked),
    (hooked, hooked),
    (local, local),
    (lambda: nn.Dropout(0.5), lambda: nn.Dropout1d(0.5)),
    (lambda: nn.AlphaDropout(0.5), lambda: nn.AlphaDropout(0.4)),
    (lambda: nn.BatchNorm1d(3), lambda: nn.BatchNorm1d(3, eps=1e-3)),
    (lambda: nn.LeakyReLU(0.1), lambda: nn.LeakyReLU(0.2)),
    (lambda: nn.Linear(2, 2), lambda: nn.Linear(2, 2, dtype=torch.float64)),
    (lambda: nn.Linear(2, 2), lambda: nn.Linear(2, 2, bias=False)),
]


@pytest.mark.parametrize("make", ALIKE, ids=range(len(ALIKE)))
def test_two_of_a_kind_are_alike(make: Callable[[], nn.Module]) -> None:
    one, other = make(), make()
    assert likeness(one) == likeness(other)
    assert likeness(one) == likeness(one.eval())


@pytest.mark.parametrize(("make", "make_other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_what_computes_differently_is_not(make: Callable[[], nn.Module], make_other: Callable[[], nn.Module]) -> None:
    one, other = make(), make_other()
    assert likeness(one) != likeness(other)


def test_momentum_of_batch_normalisation_may_differ() -> None:
    assert likeness(nn.BatchNorm1d(3, momentum=0.1)) == likeness(nn.BatchNorm1d(3, momentum=0.3))
