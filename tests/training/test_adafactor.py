"""Lanes of adafactor among others, whose second moments are in rows and columns; `test_equality` compares them with
PyTorch's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hpo.studyfile.records import TrialConfig
from hpo.training import compiled, packing
from tests.training.study import ADAFACTOR, mixed, trainer
from tests.training.test_equality import DATA, numbers

TRIALS = range(6)


def config(trial: int, family: str = "mlp") -> TrialConfig:
    """Every other one is of adafactor."""
    mine = mixed(trial, family)
    return mine.model_copy(update={"optimizer": ADAFACTOR}) if trial % 2 else mine


@pytest.mark.parametrize("family", DATA)
def test_a_lane_does_not_depend_on_its_neighbours(family: str) -> None:
    curves = []
    for lanes in (1, 3, 32):
        its = trainer(lanes=lanes, **DATA[family])
        assert its.admit((trial, config(trial, family)) for trial in TRIALS) == []
        curves.append([numbers(epoch) for _ in range(2) for epoch in its.tick().epochs])
    assert curves[0] == curves[1] == curves[2]


def test_a_resumed_lane_equals_one_never_stopped(tmp_path: Path) -> None:
    through, first = trainer(), trainer()
    for its in (through, first):
        its.admit((trial, config(trial)) for trial in TRIALS)
        its.tick()
    written = packing.write(tmp_path / "running.pt", packing.pack_running(first.all_cohorts()))
    saved = packing.read_running(written.path, written.sha256)
    second = trainer(lanes=4)
    for trial in TRIALS:
        assert packing.restore(second, trial, config(trial), [saved[trial, 0]])
    assert [numbers(e) for e in second.tick().epochs] == [numbers(e) for e in through.tick().epochs]


def test_its_steps_are_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_compiled", {})
    its = trainer()
    its.setting = replace(its.setting, compiled_lanes=2)
    its.variants = lambda config: [config]
    its.admit((trial, config(1)) for trial in range(2))
    its.tick()
    assert not compiled._compiled
