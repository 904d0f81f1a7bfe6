"""Models of examples that are real numbers alone."""

from __future__ import annotations

from torch import nn

from hpo import models
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig


def build(config: TrialConfig, shape: tuple[int, ...], outputs: int, seed: int = 0) -> nn.Sequential:
    return models.build(config, Signature.of_values(*shape), outputs, seed)
