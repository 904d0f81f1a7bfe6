"""Lanes of transformers in the trainer: a plain loop's numbers, whoever the neighbours are, and after a restart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hpo.studyfile.records import (
    Dropout,
    GroupNorm,
    Init,
    LayerNorm,
    NoNorm,
    RmsNorm,
    Training,
    Transformer,
    TrialConfig,
)
from hpo.training import packing
from hpo.training.limits import Limits
from hpo.training.trainer import Trainer
from tests.training.study import OPTIMIZERS, setting
from tests.training.test_equality import numbers, plain_losses

NORMS = (
    LayerNorm(kind="layer"),
    RmsNorm(kind="rms"),
    NoNorm(),
    GroupNorm(kind="group", groups=2),
    LayerNorm(kind="layer", every=2),
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file of 90 sequences of 1 to 37 steps."""
    draw = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("data") / "steps.npz"
    y = np.arange(90) % 3
    x = draw.normal(size=(90, 37, 3)) + y[:, None, None]
    np.savez(path, X=x, lengths=draw.integers(1, 38, 90), y=y)
    return str(path)


def config(trial: int, dropout: float = 0.3) -> TrialConfig:
    return TrialConfig(
        model=Transformer(
            family="transformer",
            width=12,
            heads=2,
            feedforward=18,
            activation=("relu", "gelu", "tanh")[trial % 3],
            norm_first=trial % 2 == 0,
            pooling=("mean", "max", "class_token")[trial // 2 % 3],
        ),
        init=Init(scheme=("kaiming_normal", "xavier_uniform", "orthogonal")[trial % 3]),
        norm=NORMS[trial % len(NORMS)],
        dropout=Dropout(p=dropout * (trial % 3 > 0), input=dropout / 3, attention=(None, dropout)[trial % 2]),
        optimizer=OPTIMIZERS[trial % len(OPTIMIZERS)],
        training=Training(epochs=3, batch_size=16),
    )


def trainer(data: str, lanes: int = 32, dtype: torch.dtype = torch.float32) -> Trainer:
    def variants(given: TrialConfig) -> list[TrialConfig]:
        return [given.model_copy(update={"norm": norm}) for norm in NORMS]

    return Trainer(setting(data, dtype, target="y"), variants, Limits(lanes))


def test_lanes_equal_a_plain_loop(data: str) -> None:
    its, trials = trainer(data, dtype=torch.float64), range(6)
    assert its.admit((trial, config(trial, 0.0)) for trial in trials) == []
    found: dict[int, list[tuple[float, float]]] = {}
    for _ in range(2):
        for lane in its.tick().epochs:
            found.setdefault(lane.trial, []).append((lane.train_loss, lane.metrics["loss"]))
    for trial in trials:
        expected = plain_losses(config(trial, 0.0), trial, 2, data, target="y")
        assert torch.allclose(torch.tensor(found[trial]), torch.tensor(expected), rtol=1e-9, atol=1e-9), trial


def test_a_lane_does_not_depend_on_its_neighbours(data: str) -> None:
    curves = []
    for lanes in (1, 2, 32):
        its = trainer(data, lanes)
        assert its.admit((trial, config(trial)) for trial in range(7)) == []
        curves.append([numbers(epoch) for _ in range(2) for epoch in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2]


def test_a_resumed_lane_equals_one_never_stopped(data: str, tmp_path: Path) -> None:
    through, first = trainer(data), trainer(data)
    for its in (through, first):
        its.admit((trial, config(trial)) for trial in range(4))
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    second = trainer(data, lanes=3)
    for trial in range(4):
        assert packing.restore(second, trial, config(trial), [saved[trial, 0]])
    assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]


def test_where_steps_are_to_be_compiled_these_are_not(data: str, caplog: Any) -> None:
    eager, fast = trainer(data), trainer(data)
    fast.setting = replace(fast.setting, compiled_lanes=2)
    for its in (eager, fast):
        its.admit((trial, config(2 * trial)) for trial in range(2))
    assert [numbers(e) for e in fast.tick().epochs] == [numbers(e) for e in eager.tick().epochs]
    assert caplog.messages == []
