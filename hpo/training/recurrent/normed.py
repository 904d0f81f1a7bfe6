"""Recurrent layers with normalisation in their cells, in K lanes: all lanes at once step by step, and back by autograd.
The plain layer is in `hpo.models.layers.normed_recurrent`.

Steps behind a sequence's end leave the state as it is. Examples, features and units are rounded up to whole cache
lines with zeros, which stay zeros, so that a lane's numbers do not depend on how many lanes there are.

Dimensions: K lanes, B examples, T steps, F features, G gates, H units, U units rounded up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.models.layers.normed_recurrent import EPS, NormedRecurrent
from hpo.models.layers.pooling import Pool
from hpo.training.layers.dense import no_backward
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.layout import ALIGNMENT
from hpo.training.sequences.pooling import pool

CHUNK = 8
"""Steps whose products with the input are one operation."""


def normed_recurrent(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, T, F] -> [K, B, T, directions * H], 0 behind a sequence's end; or pooled, without T."""
    assert isinstance(layer, NormedRecurrent)
    shapes = {name: tuple(tensor.shape) for name, tensor in layer.named_parameters()}
    own = {name: context.parameter(name, shape) for name, shape in shapes.items()}
    pooled = pool(context, Pool(layer.pooling, layer.units * (layer.directions - 1))) if layer.pooling else None

    def run(parameters: Mapping[str, Tensor], x: Tensor) -> Tensor:
        real = context.real
        real = torch.ones(x.shape[:3], dtype=torch.bool, device=x.device) if real is None else real.clone()
        parts = [_Direction(layer, parameters, suffix).run(x, real) for suffix in layer.suffixes]
        return torch.cat(parts, dim=3) if len(parts) > 1 else parts[0]

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        if not context.frame.training:
            with torch.no_grad():
                y, kept = run(own, x), None
        else:
            with torch.inference_mode(False), torch.enable_grad():
                leaves = {name: view.clone().requires_grad_() for name, view in own.items()}
                given = x.clone().requires_grad_()
                recorded = run(leaves, given)
            y, kept = recorded.detach(), (recorded, leaves, given)
        if pooled is None:
            return y, (kept, None)
        found, of_pool = pooled.forward(y)
        return found, (kept, of_pool)

    if not context.frame.training:
        return Pass(forward, no_backward)
    gradients = {name: context.gradient(name, shape) for name, shape in shapes.items()}

    def backward(both: Any, g: Tensor, wanted: bool) -> Tensor | None:
        (recorded, leaves, given), of_pool = both
        back = g if pooled is None else pooled.backward(of_pool, g, True)
        assert back is not None
        with torch.inference_mode(False):
            asked = [*leaves.values(), *([given] if wanted else [])]
            found = torch.autograd.grad(recorded, asked, back.clone())
        for name, one in zip(leaves, found, strict=False):
            gradients[name].copy_(one)
        return found[-1] if wanted else None

    return Pass(forward, backward)


class _Direction:
    """One direction's weights, [K, ...], with room for whole cache lines."""

    def __init__(self, layer: NormedRecurrent, parameters: Mapping[str, Tensor], suffix: str) -> None:
        self.layer, self.reverse = layer, bool(suffix)
        self.more = -layer.units % ALIGNMENT
        self.units = layer.units + self.more
        weight, recurrent = (parameters[f"run.{name}_l0{suffix}"] for name in ("weight_ih", "weight_hh"))
        wide = F.pad(weight.unflatten(1, (-1, layer.units)), (0, -layer.features % ALIGNMENT, 0, self.more))
        self.weight_KFG = wide.flatten(1, 2).transpose(1, 2)
        wide = F.pad(recurrent.unflatten(1, (-1, layer.units)), (0, self.more, 0, self.more))
        self.recurrent_KUG = wide.flatten(1, 2).transpose(1, 2)
        self.bias, self.late = (self._row(parameters[f"run.{name}_l0{suffix}"]) for name in ("bias_ih", "bias_hh"))
        self.scales = {name: self._row(parameters[name + suffix]) for name in layer.scales() if layer.affine}

    def _row(self, values: Tensor) -> Tensor:
        """[K, G * H] -> [K, 1, G * U]."""
        return F.pad(values.unflatten(1, (-1, self.layer.units)), (0, self.more)).flatten(1).unsqueeze(1)

    def run(self, x: Tensor, real: Tensor) -> Tensor:
        """[K, B, T, F] and [K, B, T] -> [K, B, T, H]."""
        lanes, batch, length = x.shape[:3]
        more_rows = -batch % ALIGNMENT
        rows = F.pad(x, (0, -x.shape[3] % ALIGNMENT, 0, 0, 0, more_rows)).transpose(1, 2)
        here = F.pad(real, (0, 0, 0, more_rows)).transpose(1, 2).unsqueeze(3)
        if self.reverse:
            rows, here = rows.flip(1), here.flip(1)
        zero = x.new_zeros(lanes, batch + more_rows, self.units)
        state = (zero,) * (2 if self.layer.cell == "LSTM" else 1)
        outputs = []
        for begin in range(0, length, CHUNK):
            some = rows[:, begin : begin + CHUNK]
            product = torch.bmm(some.flatten(1, 2), self.weight_KFG)
            given = (self._normed(product, "scale_ih") + self.bias).unflatten(1, (some.shape[1], -1))
            for step in range(some.shape[1]):
                again = self._normed(torch.bmm(state[0], self.recurrent_KUG), "scale_hh") + self.late
                new, now = self._cell(given[:, step], again, state), here[:, begin + step]
                state = tuple(torch.where(now, one, before) for one, before in zip(new, state, strict=True))
                outputs.append(torch.where(now, new[0], zero))
        y = torch.stack(outputs[::-1] if self.reverse else outputs, dim=2)
        return y[:, :batch, :, : self.layer.units]

    def _normed(self, z: Tensor, scale: str) -> Tensor:
        """[K, N, G * U], of each gate the first H numbers."""
        gates, size = z.unflatten(2, (-1, self.units))[..., : self.layer.units], (self.layer.units,)
        y = F.layer_norm(gates, size, eps=EPS) if self.layer.norm == "layer" else F.rms_norm(gates, size, eps=EPS)
        y = F.pad(y, (0, self.more)).flatten(2)
        return y * self.scales[scale] if self.layer.affine else y

    def _cell(self, given: Tensor, product: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The next state, whose first part is the output."""
        cell, units = self.layer.cell, self.units
        if cell == "GRU":
            rz = torch.sigmoid(given[..., : 2 * units] + product[..., : 2 * units])
            n = torch.tanh(given[..., 2 * units :] + rz[..., :units] * product[..., 2 * units :])
            return (n + rz[..., units:] * (state[0] - n),)
        gates = given + product
        if cell == "LSTM":
            i_f, g, o = gates.split((2 * units, units, units), dim=2)
            i, f = torch.sigmoid(i_f).chunk(2, dim=2)
            c = f * state[1] + i * torch.tanh(g)
            return torch.sigmoid(o) * torch.tanh(self._normed(c, "scale_c")), c
        return (torch.relu(gates) if cell == "RNN_RELU" else torch.tanh(gates),)


NORMED_RECURRENT: dict[type[nn.Module], Rule] = {NormedRecurrent: normed_recurrent}
"""Type of a plain layer -> how it is bound."""
