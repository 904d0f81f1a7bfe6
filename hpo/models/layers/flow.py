"""A Sequential whose layers may hand something on to later ones, past those in between.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, T steps, F features.
"""

from __future__ import annotations

from torch import Tensor, nn


class Carried:
    """What goes past the layers of one pass."""

    def __init__(self) -> None:
        self.kept: list[Tensor] = []
        """Inputs of residual blocks that have not ended."""
        self.real: Tensor | None = None
        """[B, T] True where an example has a step; None where all have all."""


class Flow(nn.Sequential):
    """Gives what is carried to those layers whose `takes_carried` is true."""

    def forward(self, x: Tensor) -> Tensor:
        """As that of a Sequential."""
        carried = Carried()
        for layer in self:
            taking = getattr(layer, "takes_carried", False)
            x = layer(x, carried) if taking else layer(x)
        return x


class Skip(nn.Module):
    """Begins a residual block: its input is kept."""

    takes_carried = True

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """The input."""
        carried.kept.append(x)
        return x


class SkipLinear(nn.Linear):
    """Begins a residual block of another width: its input is kept after a product."""

    takes_carried = True

    # Flow also hands over a Carried, which the class derived from does not take.
    def forward(self, x: Tensor, carried: Carried) -> Tensor:  # type: ignore[override]
        """The input."""
        carried.kept.append(super().forward(x))
        return x


class SkipConv2d(nn.Conv2d):
    """Begins a residual block of other channels or size: its input is kept after a
    convolution."""

    takes_carried = True

    # Flow also hands over a Carried, which the class derived from does not take.
    def forward(self, x: Tensor, carried: Carried) -> Tensor:  # type: ignore[override]
        """The input."""
        carried.kept.append(super().forward(x))
        return x


class Add(nn.Module):
    """Ends a residual block: adds what its beginning kept."""

    takes_carried = True

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """The sum."""
        return x + carried.kept.pop()
