"""What the layers of a stacked program work on, and what a layer of one is: a pass forward and a pass back.

Gradients are written out rather than recorded: for models this small, recording and replaying operations costs more
than the arithmetic. A pass back leaves the gradients of its parameters in the frame.

Dimensions: K lanes, B examples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor, nn

Views = dict[tuple[str, tuple[int, ...]], Tensor]
"""Views [K, *shape] by name and shape."""


@dataclass(kw_only=True, slots=True)
class Frame:
    """The tensors of K lanes, bound to a program's layers as long as they lie where they are."""

    parameters: Views
    """Of theta."""
    stats: Views
    """Of the running averages."""
    columns: Mapping[str, Tensor]
    """What else a layer needs to know of each lane, by a name that begins with the layer's."""
    training: bool
    gradients: Views = field(default_factory=dict)
    """Of the gradient; in training each layer writes those of its parameters."""
    batch_stats: Views = field(default_factory=dict)
    """Mean and unbiased variance of the batch; in training each batch normalisation writes them."""
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    """What each dropout layer multiplies by in the present step, see `hpo.training.layers.masks`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where a layer stands: its name, its lanes, and the frame."""

    name: str
    lanes: slice
    frame: Frame
    last: bool = False
    """Its output goes to the loss, which takes it with more units than the model has."""

    def parameter(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.parameters, which, shape)

    def gradient(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.gradients, which, shape)

    def average(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.stats, which, shape)

    def batch_stat(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.batch_stats, which, shape)

    def has_parameter(self, which: str, shape: tuple[int, ...]) -> bool:
        """Whether any variant has it."""
        return (f"{self.name}.{which}", shape) in self.frame.parameters

    def column(self, which: str) -> Tensor:
        return self.frame.columns[f"{self.name}.{which}"][self.lanes]

    def find_column(self, which: str) -> Tensor | None:
        """None where there is no such column, because all lanes are alike."""
        return self.column(which) if f"{self.name}.{which}" in self.frame.columns else None

    def mask(self, name: str) -> Tensor | None:
        """The present step's mask for these lanes; None where no lane drops anything."""
        mask = self.frame.masks.get(name)
        return mask if mask is None or len(mask) == self.lanes.stop - self.lanes.start else mask[self.lanes]

    def _view(self, views: Views, which: str, shape: tuple[int, ...]) -> Tensor:
        return views[f"{self.name}.{which}", shape][self.lanes]


class Pass(NamedTuple):
    """A layer bound to its place."""

    forward: Callable[[Tensor], tuple[Tensor, Any]]
    """Input [K, B, ...] to output [K, B, ...], and what the way back needs."""
    backward: Callable[[Any, Tensor, bool], Tensor | None]
    """What `forward` kept, and the gradient of the output, to the gradient of the input; None if nobody wants it."""


Rule = Callable[[Place, nn.Module], Pass]
"""Binds a layer. The plain module tells its geometry; the lanes' numbers are in the frame."""
