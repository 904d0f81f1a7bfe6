"""Modules as a user may write them, good and bad, for the tests of models of the user's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hpo.studyfile.records import TrialConfig

NET = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, input_shape, outputs, width=8, activation="relu", p=0.0):
        super().__init__()
        self.hidden = nn.Linear(input_shape[0], width)
        self.norm = nn.BatchNorm1d(width)
        self.activation = {"relu": nn.ReLU, "tanh": nn.Tanh}[activation]()
        self.dropout = nn.Dropout(p)
        self.output = nn.Linear(width, outputs)

    def forward(self, x):
        return self.output(self.dropout(self.activation(self.norm(self.hidden(x)))))
"""
"""A perceptron with batch normalisation."""


def write(folder: Path, text: str = NET, name: str = "net.py") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def config(module: str, **arguments: Any) -> TrialConfig:
    model = {"family": "custom", "module": module, "arguments": arguments}
    return TrialConfig.model_validate({"model": model, "optimizer": {"name": "sgd"}})
