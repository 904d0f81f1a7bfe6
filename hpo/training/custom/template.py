"""The module that a program runs in place of its lanes' modules, the tensors it is given, and its random numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn

from hpo.models.likeness import PER_LANE
from hpo.training.custom.masks import Masked, mask_prefix

T = TypeVar("T")
Tensors = Mapping[str, Tensor]
Slot = tuple[dict[str, Tensor | None], str]
"""Where a module keeps a tensor."""


class Template:
    """A module that runs on tensors of others. It keeps frozen parameters that all lanes share."""

    def __init__(self, module: nn.Module, calls: Iterable[tuple[str, int, int]]) -> None:
        """`calls`: see `hpo.training.custom.module.Plan`."""
        self.module = module.train()  # its parts may be in another mode than it says itself
        self._masked = {path: layer for path, layer in module.named_modules() if isinstance(layer, Masked)}
        for path, call, _ in calls:
            self._masked[path].predicted.add(call)
        self._slots: dict[str, list[Slot]] = {}
        first: dict[int, str] = {}
        for path, owner in module.named_modules():
            for kept in (owner._parameters, owner._buffers):
                for name, tensor in kept.items():
                    if tensor is not None:  # a tensor of several places has the name of the first
                        shared = first.setdefault(id(tensor), f"{path}.{name}" if path else name)
                        self._slots.setdefault(shared, []).append((kept, name))
        self._own = [(kept, name, kept[name]) for slots in self._slots.values() for kept, name in slots]

    def train(self, training: bool) -> None:
        if self.module.training != training:
            self.module.train(training)

    def set_p(self, path: str, p: float) -> None:
        """Sets the dropout of a layer."""
        layer = self._masked.get(path)
        owner = self.module.get_submodule(path) if layer is None else layer.layer
        vars(owner)[PER_LANE[type(owner)]] = p

    def fill(self, tensors: Tensors, masks: Tensors) -> None:
        """Takes a lane's tensors, and its masks of dropout layers."""
        for name, tensor in tensors.items():
            for kept, short in self._slots[name]:
                kept[short] = tensor
        for path, layer in self._masked.items():
            prefix = mask_prefix(path)
            mine = {name.removeprefix(prefix): mask for name, mask in masks.items() if name.startswith(prefix)}
            layer.begin({int(call): mask for call, mask in mine.items()})

    def reset(self) -> None:
        """Lets go of the lanes' tensors."""
        for kept, name, tensor in self._own:
            kept[name] = tensor
        for layer in self._masked.values():
            layer.begin({})


@dataclass(frozen=True, kw_only=True, slots=True)
class Leaves:
    """The parameters of K lanes, of which gradients are wanted."""

    names: tuple[str, ...]
    all: list[Tensor]
    """One tensor [K, ...] for each name, or one for each name and lane."""
    by_lane: bool

    @classmethod
    def of(cls, views: Tensors, *, by_lane: bool) -> Leaves:
        """Of tensors [K, ...]. They share memory with these, except with tensors of inference, which autograd
        refuses."""
        apart = [view.clone() if view.is_inference() else view.detach() for view in views.values()]
        rows = [row for view in apart for row in view.unbind()] if by_lane else apart
        return cls(names=tuple(views), all=[row.detach().requires_grad_() for row in rows], by_lane=by_lane)

    def stacked(self) -> dict[str, Tensor]:
        """[K, ...] each."""
        rows = [torch.stack(list(lanes)) for lanes in self.lanes().values()] if self.by_lane else self.all
        return dict(zip(self.names, rows, strict=True))

    def lanes(self) -> dict[str, Sequence[Tensor]]:
        """By name, those of each lane."""
        found = self.by_name(self.all)
        return found if self.by_lane else {name: rows.unbind() for name, (rows,) in found.items()}

    def by_name(self, each: Sequence[T]) -> dict[str, Sequence[T]]:
        """By name, what there is for each tensor: one thing, or one for each lane."""
        count = len(self.all) // max(1, len(self.names))
        return {name: each[number * count : (number + 1) * count] for number, name in enumerate(self.names)}


@contextmanager
def drawing(keys: Tensor, device: torch.device) -> Iterator[list[Callable[[], None]]]:
    """What seeds torch's generators for each lane, with its key. They are restored at the end."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield [partial(_seed, key & 0xFFFFFFFF, device) for key in keys.tolist()]


def _seed(key: int, device: torch.device) -> None:
    torch.default_generator.manual_seed(key)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(key)
