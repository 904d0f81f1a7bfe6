"""Convolution and pooling along the steps of sequences.

A sequence is computed as if its steps were all there is: what lies behind its end
counts as the zeros of the padding, and no window takes it in.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, T steps, S steps that are left, F features, O outputs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpo.models.layers.flow import Carried


class StepConv(nn.Conv1d):
    """A convolution along the steps, each example's features side by side."""

    takes_carried = True

    # Flow also hands over a Carried, which the class derived from does not take.
    def forward(self, x: Tensor, carried: Carried) -> Tensor:  # type: ignore[override]
        """[B, T, F] -> [B, S, O]."""
        real, stride = carried.real, self.stride[0]
        if real is not None:
            x = x.masked_fill(~real.unsqueeze(2), 0.0)
            carried.real = real[:, ::stride]
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class SkipStepConv(nn.Conv1d):
    """Begins a residual block of other features or steps: its input is kept after a
    convolution of single steps."""

    takes_carried = True

    # Flow also hands over a Carried, which the class derived from does not take.
    def forward(self, x: Tensor, carried: Carried) -> Tensor:  # type: ignore[override]
        """The input."""
        carried.kept.append(super().forward(x.transpose(1, 2)).transpose(1, 2))
        return x


class StepPool(nn.Module):
    """Maximum or mean of each two neighbouring steps, of those that are real."""

    takes_carried = True

    def __init__(self, kind: str) -> None:
        """`kind`: "max" or "average"."""
        super().__init__()
        self.kind = kind

    def extra_repr(self) -> str:
        """The arguments."""
        return f"kind={self.kind!r}"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T, F] -> [B, S, F]; 0 behind a sequence's end."""
        real = carried.real
        if real is None:
            real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        else:
            carried.real = real[:, ::2]
        odd = x.shape[1] % 2
        pairs = nn.functional.pad(x, (0, 0, 0, odd)).unflatten(1, (-1, 2))
        absent = ~nn.functional.pad(real, (0, odd)).unflatten(1, (-1, 2)).unsqueeze(3)
        if self.kind == "average":
            count = (~absent).sum(2).clamp(min=1)
            mean: Tensor = pairs.masked_fill(absent, 0.0).sum(2) / count.to(x.dtype)
            return mean
        lowest = torch.finfo(x.dtype).min
        best: Tensor = pairs.masked_fill(absent, lowest).max(2).values
        best = best.masked_fill(absent[:, :, 0], 0.0)
        return best
