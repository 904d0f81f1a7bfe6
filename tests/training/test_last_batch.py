"""What an epoch's last batch may be: each rule equals a plain loop over a DataLoader, whatever the other lanes are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hpo.errors import InputError
from hpo.studyfile.records import BatchNorm, Dropout, Regularization, Training, TrialConfig
from hpo.training import packing
from hpo.training.epoch import Stretch, stretches
from hpo.training.lane import new_lane
from tests.training import own
from tests.training.custom.test_module import config as own_config
from tests.training.study import NORMS, mixed, quickly_compiled, setting, trainer
from tests.training.test_equality import numbers, plain_losses

RULES = ("fill", "drop", "short")
FOLDS = {"folds": 3, "test": 0.2}
"""Of wine: training parts of 94, 95 and 95 examples."""


def with_rule(config: TrialConfig, rule: str, **training: Any) -> TrialConfig:
    return config.model_copy(
        update={"training": Training.model_validate({"epochs": 3, "batch_size": 19, "last_batch": rule, **training})}
    )


def without_chance(config: TrialConfig) -> TrialConfig:
    """A configuration that the plain loop can train, too: without random numbers in the model."""
    plain = {name: TrialConfig.model_fields[name].default for name in ("schedule", "regularization")}
    return config.model_copy(update={**plain, "dropout": Dropout()})


@pytest.mark.parametrize(
    ("size", "training", "expected"),
    [
        (100, {"batch_size": 30}, (30, 30, 30, 30)),
        (100, {"batch_size": 30, "last_batch": "drop"}, (30, 30, 30)),
        (100, {"batch_size": 30, "last_batch": "short"}, (30, 30, 30, 10)),
        (90, {"batch_size": 30, "last_batch": "short"}, (30, 30, 30)),
        (100, {"batch_size": 500, "last_batch": "drop"}, (100,)),
        (100, {"batch_size": 500, "last_batch": "short"}, (100,)),
    ],
)
def test_sizes_of_the_batches(size: int, training: dict[str, Any], expected: tuple[int, ...]) -> None:
    examples = replace(setting().examples, size=(size,))
    assert examples.batch_sizes(0, Training.model_validate(training)) == expected


def test_parts_of_different_size_are_cut_as_each_would_be_alone() -> None:
    examples = replace(setting().examples, size=(59, 60), part=(0, 1))
    short, whole = (Training(batch_size=b, last_batch="short") for b in (30, 100))
    assert [examples.batch_sizes(r, short) for r in (0, 1)] == [(30, 29), (30, 30)]
    assert [examples.batch_sizes(r, whole) for r in (0, 1)] == [(59,), (60,)]
    assert [examples.batch_sizes(r, Training(batch_size=59)) for r in (0, 1)] == [(59, 59), (59, 59)]


def test_lanes_train_separately_only_where_their_batches_differ() -> None:
    assert list(stretches([(5, 5, 5, 2), (5, 5, 5, 5), (5, 5, 5, 2)])) == [
        Stretch(lanes=(0, 1, 2), first=0, steps=3, batch=5),
        Stretch(lanes=(0, 2), first=3, steps=1, batch=2),
        Stretch(lanes=(1,), first=3, steps=1, batch=5),
    ]
    assert list(stretches([(4,), (5,)])) == [
        Stretch(lanes=(0,), first=0, steps=1, batch=4),
        Stretch(lanes=(1,), first=0, steps=1, batch=5),
    ]
    assert list(stretches([(4, 4), (4, 4, 4)])) == [
        Stretch(lanes=(0, 1), first=0, steps=2, batch=4),
        Stretch(lanes=(1,), first=2, steps=1, batch=4),
    ]


@pytest.mark.parametrize("rule", ["drop", "short"])
@pytest.mark.parametrize("family", ["mlp", "cnn"])
def test_lanes_equal_a_plain_loop(family: str, rule: str) -> None:
    dataset = "wine" if family == "mlp" else "digits"
    its = trainer(dataset=dataset, dtype=torch.float64)
    norms = NORMS if family == "mlp" else NORMS[::2]
    configs = {
        trial: with_rule(without_chance(mixed(trial, family)), rule, batch_size=40).model_copy(update={"norm": norm})
        for trial, norm in enumerate(norms)
    }
    assert its.admit(configs.items()) == []
    found = [[(e.train_loss, e.metrics["loss"]) for e in its.tick().epochs] for _ in range(2)]
    for trial, config in configs.items():
        expected = plain_losses(config, trial, 2, dataset)
        assert torch.allclose(
            torch.tensor([epoch[trial] for epoch in found]), torch.tensor(expected), rtol=1e-9, atol=1e-9
        ), config


@pytest.mark.parametrize("branch", [False, True])
def test_modules_of_the_users_own_equal_a_plain_loop(branch: bool, tmp_path: Path) -> None:
    path = tmp_path / "tables.py"
    path.write_text(own.TABLES)
    config = with_rule(own_config(f"{path}:Plain", 1, branch=branch), "short")
    its = trainer(dtype=torch.float64)
    its.variants = lambda config: [config]
    assert its.admit([(0, config), (1, config)]) == []
    ticks = [its.tick() for _ in range(2)]
    assert all(tick.failures == () for tick in ticks)
    found = [(e.train_loss, e.metrics["loss"]) for tick in ticks for e in tick.epochs if e.trial == 0]
    expected = plain_losses(config, 0, 2, "wine")
    assert torch.allclose(torch.tensor(found), torch.tensor(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_folds_of_different_size_equal_plain_loops(rule: str) -> None:
    its = trainer(dtype=torch.float64, **FOLDS)
    config = with_rule(without_chance(mixed(1)), rule)
    sizes = [its.setting.examples.batch_sizes(replica, config.training) for replica in range(3)]
    assert rule == "fill" or sizes[0] != sizes[1]
    its.admit([(4, config)])
    found = [[(e.train_loss, e.metrics["loss"]) for e in its.tick().epochs] for _ in range(2)]
    for replica in range(3):
        expected = plain_losses(config, 4, 2, "wine", replica, **FOLDS)
        mine = torch.tensor([epoch[replica] for epoch in found])
        assert torch.allclose(mine, torch.tensor(expected), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("rule", ["drop", "short"])
def test_a_lane_does_not_depend_on_its_neighbours(rule: str) -> None:
    curves = []
    for lanes in (1, 3, 32):
        its = trainer(lanes=lanes, **FOLDS)
        assert its.admit((trial, with_rule(mixed(trial), rule)) for trial in range(6)) == []
        curves.append([numbers(e) for _ in range(2) for e in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2]


def test_compiled_steps_go_on_with_the_short_batch(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING", "hpo")
    eager, fast = trainer(dtype=torch.float64, **FOLDS), trainer(dtype=torch.float64, **FOLDS)
    fast.setting = replace(fast.setting, compiled_lanes=8)
    for its in (eager, fast):
        its.admit((trial, with_rule(quickly_compiled(its, trial), "short")) for trial in range(2))
    for _ in range(2):
        one, other = (
            torch.tensor([numbers(e) for e in its.tick().epochs], dtype=torch.float64) for its in (eager, fast)
        )
        assert torch.allclose(one, other, rtol=1e-9, atol=1e-12)
    assert caplog.messages == []


def test_a_resumed_lane_equals_one_never_stopped(tmp_path: Path) -> None:
    through, first = trainer(**FOLDS), trainer(**FOLDS)
    configs = {trial: with_rule(mixed(trial), "short") for trial in range(3)}
    for its in (through, first):
        its.admit(configs.items())
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    second = trainer(lanes=4, **FOLDS)
    for trial, config in configs.items():
        assert packing.restore(second, trial, config, [saved[trial, replica] for replica in range(3)])
    assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]


def test_statistics_of_a_batch_of_one_are_refused() -> None:
    """106 examples are 5 batches of 21 and one of 1."""
    config = with_rule(mixed(0), "short", batch_size=21).model_copy(update={"norm": BatchNorm(kind="batch")})
    with pytest.raises(InputError, match=r"106 training examples make batches of 21 and a last one of 1; .* \"drop\""):
        new_lane(setting(), 0, 0, config)
    new_lane(setting(), 0, 0, with_rule(config, "drop", batch_size=21))
    its = trainer()
    assert its.admit([(0, with_rule(mixed(0).model_copy(update={"regularization": Regularization()}), "short"))]) == []
