"""When layers of different lanes are of one kind, so that they are computed together."""

from __future__ import annotations

from torch import nn

from hpo import models
from hpo.models import CUSTOM

IDLE = repr(nn.Identity())
"""The kind of the identity."""


def kind(layer: nn.Module) -> str:
    """A layer's kind: lanes of one kind are computed together. Numbers that may differ by lane are left out."""
    if isinstance(layer, nn.Dropout | nn.Dropout2d):
        return type(layer).__name__
    if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
        return f"{type(layer).__name__}({layer.num_features}, affine={layer.affine})"
    return models.sizes(layer)


def structure(module: nn.Sequential) -> tuple[str, ...]:
    """Sort key of a lane: cohorts keep lanes of equal structure together, so that runs are long."""
    return (CUSTOM,) if hasattr(module, CUSTOM) else tuple(kind(child) for child in module.children())
