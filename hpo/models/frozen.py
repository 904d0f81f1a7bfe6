"""Which parameters of a model are trained. A module of the user's own may freeze some, e.g. a pre-trained body."""

from __future__ import annotations

from torch import nn


def trained_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """By name."""
    return {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}


def frozen_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """By name: those with `requires_grad=False`, which stay as they are."""
    return {name: parameter for name, parameter in module.named_parameters() if not parameter.requires_grad}
