"""What a trial of a training function cost is noted with it, as PyTorch itself accounts for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import hpo
from hpo.cli import hpo as command
from tests.runtime.functions import study

CODE = """
import time

import torch


def train(trial):
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.Linear(256, 10))
    model[0].bias.requires_grad_(False)
    optimizer = torch.optim.Adam(model.parameters())
    trial.measure(model, optimizer)
    held = torch.ones(trial.params["mib"], 2**18)
    for epoch in range(1, 3):
        optimizer.zero_grad()
        model(torch.ones(4, 64)).sum().backward()
        optimizer.step()
        trial.report(epoch, {"score": 1.0})
        time.sleep(1.1)
    assert held.sum() > 0
"""
SIZE = 64 * 256 + 256 * 10 + 10


def test_what_a_function_cost_is_what_pytorch_says(tmp_path: Path) -> None:
    trial = 'function = "train.py:train"\narguments = { mib = { choice = [16, 216] } }\nresources = { cpus = 0.5 }'
    path = study(tmp_path, trial=trial, training="epochs = 2", search='trials = 2\nsampler = "grid"')
    (tmp_path / "train.py").write_text(CODE)
    rows = hpo.run(path, home=tmp_path / "home", workers=2).trials.set_index("trial.arguments.mib")
    assert rows["state"].tolist() == ["COMPLETE"] * 2, rows["ended"].tolist()
    assert rows["model_parameters"].tolist() == [SIZE] * 2
    assert rows["optimizer_state_bytes"].tolist() == pytest.approx([2 * 4 * SIZE] * 2, rel=0.01)
    found = {}
    for mib, row in rows.iterrows():
        options = ["show", "own", "--json", "--trial", str(row["number"]), "--home", str(tmp_path / "home")]
        found[mib] = json.loads(CliRunner().invoke(command, options).stdout)["peak_memory_bytes"]
    assert found[216] - found[16] == pytest.approx(200 * 2**20, rel=0.1)
