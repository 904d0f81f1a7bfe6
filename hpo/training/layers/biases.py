"""The biases of a layer in K lanes. A lane has no bias where the normalisation after the layer would subtract it again.

A row of parameters has room for a bias if any variant of the study has one there. A lane without a bias has zeros
there, which get no gradient, so that such lanes are computed together with the others.

Dimensions: K lanes, O outputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hpo.training.layers.frame import LayerContext

COLUMN = "no_bias"


class Bias(NamedTuple):
    """The biases of one layer, as views of the frame."""

    values_KO: Tensor | None
    """None where no variant has one."""
    gradient_KO: Tensor | None
    """Where the gradient is written; None at inference, and where no variant has a bias."""
    lacking_K1: Tensor | None
    """True for lanes that have no bias; None where all have one."""

    @classmethod
    def of(cls, context: LayerContext, units: int) -> Bias:
        """`units`: outputs of the layer, or the larger number for which the rows have room."""
        if not context.has_parameter("bias", (units,)):
            return cls(None, None, None)
        gradient = context.gradient("bias", (units,)) if context.frame.training else None
        return cls(context.parameter("bias", (units,)), gradient, context.find_column(COLUMN))

    def write_gradient(self, gradient_KO: Tensor) -> None:
        """Writes the gradient."""
        if self.gradient_KO is not None:
            self.gradient_KO.copy_(gradient_KO)
            self._clear_lacking()

    def write_gradient_sum(self, g_KBO: Tensor) -> None:
        """Writes the gradient as the sum over examples of the gradient of the layer's output."""
        if self.gradient_KO is not None:
            torch.sum(g_KBO, 1, out=self.gradient_KO)
            self._clear_lacking()

    def _clear_lacking(self) -> None:
        """Lanes without a bias get no gradient, not even one that has overflowed."""
        if self.gradient_KO is not None and self.lacking_K1 is not None:
            self.gradient_KO.masked_fill_(self.lacking_K1, 0.0)


def bias_columns(layers: Sequence[nn.Module], possible: Sequence[nn.Module], device: torch.device) -> dict[str, Tensor]:
    """The column that `Bias` uses, if any possible layer has no bias; else no columns."""
    if not any(map(_lacks, possible)):
        return {}
    return {COLUMN: torch.tensor([[_lacks(layer)] for layer in layers], device=device)}


def _lacks(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d) and layer.bias is None
