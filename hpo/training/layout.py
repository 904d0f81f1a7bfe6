"""The layout of a lane's row: the position of each trained parameter of a module, so that K modules become a matrix
theta [K, P].

One matrix instead of many stacked tensors makes an update, a penalty or a checkpoint a handful of operations,
whatever the number of layers. Running averages of batch normalisation get a second matrix, stats [K, Q].
A layout is the union over all variants that a study may draw, so that it never depends on which lanes are present.

Dimensions: K lanes, P parameters a lane, Q running averages a lane.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.models.families.custom import BATCH_NORMS
from hpo.models.frozen import trained_parameters
from hpo.models.layers.step_norms import StepBatchNorm

AVERAGING = (*BATCH_NORMS, StepBatchNorm)
"""Layers whose running averages training keeps. Those of others are constants."""
ALIGNMENT = 16
"""Every tensor begins at a multiple of this, a cache line in float32."""
VECTOR = 64
"""Rows are padded to a multiple of this. Otherwise the end of a row would be computed by scalar code, which may round
differently from vector code."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TensorEntry:
    """One tensor of a module."""

    name: str
    """Dotted name as in `state_dict`, e.g. `linear1.weight`."""
    shape: tuple[int, ...]
    """Shape of one lane's tensor."""
    start: int
    """Offset in the row."""

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def wide(self) -> tuple[int, ...]:
        """The shape with units rounded up to whole cache lines, for which the row has room. The added units are 0, and
        stay 0 because their gradient is 0."""
        if len(self.shape) not in (1, 2):
            return self.shape
        units, *inputs = self.shape
        return (units + -units % ALIGNMENT, *inputs)


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """The order of parameters and of running averages in a lane's rows."""

    parameters: tuple[TensorEntry, ...]
    stats: tuple[TensorEntry, ...]

    @classmethod
    def of(cls, modules: Iterable[nn.Module]) -> Layout:
        """The union of the modules' tensors, in the order in which they first appear."""
        parameters: dict[tuple[str, tuple[int, ...]], None] = {}
        stats: dict[tuple[str, tuple[int, ...]], None] = {}
        for module in modules:
            parameters.update(dict.fromkeys((n, tuple(p.shape)) for n, p in trained_parameters(module).items()))
            stats.update(dict.fromkeys((n, tuple(b.shape)) for n, b in _averages(module)))
        return cls(parameters=_lay_out(parameters), stats=_lay_out(stats))

    def row(self, module: nn.Module) -> tuple[Tensor, Tensor]:
        """The module's trained parameters [P] and running averages [Q]; 0 for tensors that it does not have."""
        return (
            _fill(self.parameters, trained_parameters(module)),
            _fill(self.stats, dict(_averages(module))),
        )

    def load(self, module: nn.Module, theta_P: Tensor, stats_Q: Tensor) -> None:
        """Writes a lane's rows into a plain module."""
        with torch.no_grad():
            _unfill(self.parameters, trained_parameters(module), theta_P)
            _unfill(self.stats, dict(_averages(module)), stats_Q)

    def weights(self) -> Tensor:
        """[1, P] True where a number is a weight: neither a bias nor a normalisation's scale or shift."""
        flags = torch.zeros(1, width(self.parameters), dtype=torch.bool)
        for e in filter(is_weight, self.parameters):
            flags[:, e.start : e.start + e.size] = True
        return flags


def width(entries: tuple[TensorEntry, ...]) -> int:
    """Numbers in a row, padding included."""
    used = entries[-1].start + prod(entries[-1].wide) if entries else 0
    return used + -used % VECTOR


def is_weight(entry: TensorEntry) -> bool:
    """Whether penalties act on the tensor: a matrix or kernel of a layer, not a normalisation's scale or shift."""
    return len(entry.shape) >= 2 and not entry.name.startswith("norm")


def split(entries: tuple[TensorEntry, ...], rows_KP: Tensor) -> dict[tuple[str, tuple[int, ...]], Tensor]:
    """Views [K, *shape] of the rows, by name and shape; also by name and wide shape."""
    return {
        (e.name, shape): rows_KP[:, e.start : e.start + prod(shape)].view(-1, *shape)
        for e in entries
        for shape in (e.wide, e.shape)
    }


def pieces(entries: tuple[TensorEntry, ...], like_KP: Tensor) -> dict[tuple[str, tuple[int, ...]], Tensor]:
    """Zeros [K, *shape], by name and shape as from `split`, but each entry in memory of its own; see `join`."""
    whole = {e: like_KP.new_zeros(len(like_KP), *e.wide) for e in entries}
    return {
        (e.name, shape): piece[:, : shape[0]] if shape else piece
        for e, piece in whole.items()
        for shape in (e.shape, e.wide)
    }


def join(entries: tuple[TensorEntry, ...], found: dict[tuple[str, tuple[int, ...]], Tensor], like_KP: Tensor) -> Tensor:
    """Rows [K, P] from `pieces`."""
    if not entries:
        return torch.zeros_like(like_KP)
    ends = [*(e.start for e in entries[1:]), width(entries)]
    rows = [found[e.name, e.wide].flatten(1) for e in entries]
    filled = [F.pad(row, (0, end - e.start - row.shape[1])) for e, row, end in zip(entries, rows, ends, strict=True)]
    return torch.cat(filled, dim=1)


def momentum(modules: Sequence[nn.Module], layout: Layout, dtype: torch.dtype, device: torch.device) -> Tensor:
    """[K, Q] weight of the newest batch in the running averages, 0 where a lane keeps none."""
    weights = torch.zeros(len(modules), width(layout.stats), dtype=dtype, device=device)
    views = split(layout.stats, weights)
    for (name, _), view in views.items():
        for lane, module in enumerate(modules):
            owner = module.get_submodule(name.rpartition(".")[0])
            if type(owner) not in AVERAGING or not isinstance(owner, BATCH_NORMS):
                continue
            if tuple(view.shape[1:]) == (owner.num_features,):
                view[lane] = owner.momentum or 0.0
    return weights


def _averages(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [(n, b) for n, b in module.named_buffers() if n.endswith(("running_mean", "running_var"))]


def _lay_out(found: dict[tuple[str, tuple[int, ...]], None]) -> tuple[TensorEntry, ...]:
    entries, start = [], 0
    for name, shape in found:
        entries.append(TensorEntry(name=name, shape=shape, start=start))
        room = prod(entries[-1].wide)
        start += room + -room % ALIGNMENT
    return tuple(entries)


def _present(entries: tuple[TensorEntry, ...], tensors: Mapping[str, Tensor]) -> list[TensorEntry]:
    return [e for e in entries if e.name in tensors and tuple(tensors[e.name].shape) == e.shape]


def _fill(entries: tuple[TensorEntry, ...], tensors: Mapping[str, Tensor]) -> Tensor:
    present = _present(entries, tensors)
    assert len(present) == len(tensors), "the module has tensors that the layout lacks"
    row = torch.zeros(width(entries))
    for e in present:
        row[e.start : e.start + e.size] = tensors[e.name].detach().flatten()
    return row


def _unfill(entries: tuple[TensorEntry, ...], tensors: Mapping[str, Tensor], row: Tensor) -> None:
    for e in _present(entries, tensors):
        tensors[e.name].copy_(row[e.start : e.start + e.size].view(e.shape))
