"""Normalisation of the steps of sequences. `nn.LayerNorm` is that of each step's features already.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, T steps, F features, N real steps.
"""

from __future__ import annotations

from torch import Tensor, nn

from hpo.models.layers.flow import Carried


class StepBatchNorm(nn.BatchNorm1d):
    """Statistics per feature over the real steps of a batch."""

    takes_carried = True

    # Flow also hands over a Carried, which the class derived from does not take.
    def forward(self, x: Tensor, carried: Carried) -> Tensor:  # type: ignore[override]
        """[B, T, F] -> [B, T, F]; 0 behind a sequence's end."""
        real = carried.real
        if real is None:
            return super().forward(x.flatten(0, 1)).view(x.shape)
        y = x.new_zeros(x.shape)
        y[real] = super().forward(x[real])
        return y


class StepGroupNorm(nn.GroupNorm):
    """Statistics over groups of each step's features."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, F] -> [B, T, F]."""
        return super().forward(x.flatten(0, 1)).view(x.shape)
