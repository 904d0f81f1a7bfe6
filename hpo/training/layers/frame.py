"""The interface of a layer in the program of K lanes: a forward and a backward pass on the tensors of a frame.

Backward passes are written by hand instead of recorded by autograd: for models this small, recording and replaying
operations takes longer than the arithmetic. A backward pass writes the gradients of its parameters into the frame.

Dimensions: K lanes, B examples, T steps.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.conventions import NEWEST
from hpo.training.ragged.rows import Rows

Views = dict[tuple[str, tuple[int, ...]], Tensor]
"""Views [K, *shape] by name and shape."""


@dataclass(kw_only=True, slots=True)
class Frame:
    """The tensors of K lanes that a program's layers use. Layers keep views of them, so they must not move in
    memory."""

    parameters: Views
    """Views of theta."""
    stats: Views
    """Views of the running averages."""
    columns: Mapping[str, Tensor]
    """Other numbers of each lane that a layer uses, by a name that begins with the layer's name."""
    training: bool
    conventions: int = NEWEST
    """How numbers are computed, see `hpo.conventions`."""
    gradients: Views = field(default_factory=dict)
    """Views of the gradient; in training each layer writes those of its parameters."""
    batch_stats: Views = field(default_factory=dict)
    """Mean and unbiased variance of the batch; in training each batch normalisation writes them."""
    masks: Mapping[str, Tensor] = field(default_factory=dict)
    """The masks of the dropout layers in the present step, see `hpo.training.layers.masks`."""
    kept: list[Tensor] = field(default_factory=list)
    """Inputs of residual blocks that have not ended in the present pass."""
    kept_gradients: list[Tensor] = field(default_factory=list)
    """Gradients of these, in the pass back."""
    real: Tensor | None = None
    """[K, B, T] True where an example of the present pass has a step; None where all have all."""

    unused: dict[tuple[str, tuple[int, ...]], Tensor] = field(default_factory=dict)
    """[K] True where the pass back found that a lane's pass had not used a parameter, by name and shape; of modules of
    the user's own."""

    ragged: bool = False
    """Whether steps of sequences are rows [K, N, F] without padding, see `hpo.training.ragged`; set when a layer that
    asks for it is bound."""
    class_token: bool = False
    """Whether each example's steps begin with a row for a class token; set as `ragged` is."""
    ragged_rows: Rows | None = None
    """Where the real steps of the present pass are."""

    def pack(self, x: Tensor, real: Tensor | None) -> Tensor:
        """[K, B, T, F] and its mask [K, B, T] -> [K, N, F]."""
        if real is None:
            real = torch.ones(x.shape[:3], dtype=torch.bool, device=x.device)
        if self.class_token:
            x, real = F.pad(x, (0, 0, 1, 0)), F.pad(real, (1, 0), value=True)
        self.ragged_rows = Rows(real)
        return self.ragged_rows.pack(x)

    @property
    def rows(self) -> Rows:
        """Where the real steps of the present pass are."""
        assert self.ragged_rows is not None
        return self.ragged_rows

    def begin(self) -> None:
        """Forgets what a pass before has carried past layers."""
        self.kept.clear()
        self.kept_gradients.clear()
        self.unused.clear()
        self.real = self.ragged_rows = None


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerContext:
    """What a layer is bound to: its name, its lanes, and the frame, of which it gives the layer's views."""

    name: str
    lanes: slice
    frame: Frame
    last: bool = False
    """Whether its output goes to the loss, which accepts more units than the model has."""

    def parameter(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.parameters, which, shape)

    def gradient(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.gradients, which, shape)

    def average(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.stats, which, shape)

    def batch_stat(self, which: str, shape: tuple[int, ...]) -> Tensor:
        return self._view(self.frame.batch_stats, which, shape)

    def has_parameter(self, which: str, shape: tuple[int, ...]) -> bool:
        """Whether any variant of the study has this parameter."""
        return (f"{self.name}.{which}", shape) in self.frame.parameters

    def column(self, which: str) -> Tensor:
        return self.frame.columns[f"{self.name}.{which}"][self.lanes]

    def find_column(self, which: str) -> Tensor | None:
        """The column; None if there is none, because all lanes are alike."""
        return self.column(which) if f"{self.name}.{which}" in self.frame.columns else None

    def mask(self, name: str) -> Tensor | None:
        """The present step's mask for these lanes; None where no lane drops anything."""
        mask = self.frame.masks.get(name)
        return mask if mask is None or len(mask) == self.lanes.stop - self.lanes.start else mask[self.lanes]

    @property
    def real(self) -> Tensor | None:
        """[K, B, T] True where an example has a step, in these lanes; None where all have all."""
        real = self.frame.real
        return real if real is None or len(real) == self.lanes.stop - self.lanes.start else real[self.lanes]

    def _view(self, views: Views, which: str, shape: tuple[int, ...]) -> Tensor:
        return views[f"{self.name}.{which}", shape][self.lanes]


class Pass(NamedTuple):
    """The forward and backward pass of a layer, bound to its context."""

    forward: Callable[[Tensor], tuple[Tensor, Any]]
    """Takes the input [K, B, ...]; returns the output [K, B, ...], and the values that `backward` needs."""
    backward: Callable[[Any, Tensor, bool], Tensor | None]
    """Takes these values, the gradient of the output, and whether the gradient of the input is wanted; returns that, or
    None."""


Rule = Callable[[LayerContext, nn.Module], Pass]
"""Binds a layer. The plain module gives the sizes; the lanes' numbers are in the frame."""
