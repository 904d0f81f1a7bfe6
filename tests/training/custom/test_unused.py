"""Parameters that a pass does not use have no gradient, and PyTorch's optimizers leave them alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.conventions import UNUSED_STAY
from hpo.studyfile.records import Adafactor, AdamW, Optimizer, Regularization, Sgd, Training, TrialConfig
from hpo.training import packing
from hpo.training.lane import new_lane
from tests.training.custom.test_module import config, curves, plain, trainer
from tests.training.study import plain_batches, setting

MODULE = """
import torch
from torch import nn


class Spare(nn.Module):
    def __init__(self, input_shape, outputs, branch=False):
        super().__init__()
        self.first, self.spare = nn.Linear(input_shape[0], 8), nn.Linear(8, 8)
        self.output, self.branch = nn.Linear(8, outputs), branch

    def forward(self, x):
        y = torch.tanh(self.first(x))
        if self.branch and x[0, 0] > 0.5:  # in some batches alone, which vmap cannot take
            y = self.spare(y)
        return self.output(y)
"""
OPTIMIZERS: tuple[Optimizer, ...] = (
    AdamW(name="adamw", learning_rate=2e-3),
    Sgd(name="sgd", learning_rate=0.05, momentum=0.9, weight_decay=0.1),
    Adafactor(name="adafactor", weight_decay=0.1),
)
PLAIN = {
    "adamw": lambda p, o: torch.optim.AdamW(p, lr=o.learning_rate, weight_decay=o.weight_decay),
    "sgd": lambda p, o: torch.optim.SGD(p, lr=o.learning_rate, momentum=o.momentum, weight_decay=o.weight_decay),
    "adafactor": lambda p, o: torch.optim.Adafactor(p, lr=o.learning_rate, weight_decay=o.weight_decay),
}


@pytest.fixture
def spare(tmp_path: Path) -> str:
    (tmp_path / "spare.py").write_text(MODULE)
    return f"{tmp_path / 'spare.py'}:Spare"


def of(module: str, optimizer: Optimizer, branch: bool = False, **changes: Any) -> TrialConfig:
    return config(module, branch=branch).model_copy(update={"optimizer": optimizer, **changes})


@pytest.mark.parametrize("branch", [False, True])
def test_lanes_equal_a_plain_loop(spare: str, branch: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = OPTIMIZERS[1:2] if branch else OPTIMIZERS  # the others count the steps of each parameter
    its, trials = trainer(), {trial: of(spare, one, branch) for trial, one in enumerate(chosen)}
    found = curves(its, trials)
    for trial, mine in trials.items():
        for name, make in PLAIN.items():
            monkeypatch.setitem(plain.__globals__["TORCH_OPTIMIZERS"], name, make)
        expected, weights = plain(trial, mine, "wine")
        torch.testing.assert_close(found[trial][:, [0, 2]], expected, rtol=1e-9, atol=1e-9)
        _, module = packing.trained(its, trial)
        for name, value in module.state_dict().items():
            torch.testing.assert_close(value.double(), weights[name], rtol=1e-6, atol=1e-7)


def test_a_group_of_batches_uses_what_one_of_them_uses(spare: str) -> None:
    (optimizer,), training = OPTIMIZERS[1:2], Training(epochs=3, batch_size=16, accumulate=3)
    mine, its = of(spare, optimizer, branch=True, training=training), trainer()
    curves(its, {0: mine}, epochs=1)
    the = setting("wine", torch.float64)
    module = new_lane(the, 0, 0, mine).module.double()
    plainly = PLAIN["sgd"](module.parameters(), optimizer)
    batches = plain_batches(the, 0, 0, 1, training)
    for begin in range(0, len(batches), 3):
        group = batches[begin : begin + 3]
        plainly.zero_grad()
        for rows in group:
            loss = torch.nn.functional.cross_entropy(module(the.examples.x_train[rows]), the.examples.y_train[rows])
            (loss / len(group)).backward()
        plainly.step()
    _, ours = packing.trained(its, 0)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name].double(), value, rtol=1e-6, atol=1e-7)


def test_a_penalty_gives_weights_a_gradient(spare: str) -> None:
    its = trainer()
    penalised = of(spare, OPTIMIZERS[0], regularization=Regularization(l2=0.1))
    curves(its, {0: of(spare, OPTIMIZERS[0]), 1: penalised}, epochs=1)
    before = [new_lane(its.setting, trial, 0, penalised).module.state_dict() for trial in (0, 1)]
    after = [packing.trained(its, trial)[1].state_dict() for trial in (0, 1)]
    name = next(name for name in before[0] if name.endswith("spare.weight"))
    assert torch.equal(before[0][name], after[0][name])
    assert not torch.equal(before[1][name], after[1][name])


def test_studies_that_have_begun_go_on_decaying(spare: str) -> None:
    its = trainer()
    old = of(spare, OPTIMIZERS[0], conventions=UNUSED_STAY - 1)
    curves(its, {0: old}, epochs=1)
    before, after = new_lane(its.setting, 0, 0, old).module.state_dict(), packing.trained(its, 0)[1].state_dict()
    name = next(name for name in before if name.endswith("spare.weight"))
    assert (after[name].abs() < before[name].abs()).all()
