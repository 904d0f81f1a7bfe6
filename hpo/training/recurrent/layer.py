"""A recurrent layer in K lanes, bound like any other layer.

Dimensions: K lanes, B examples, T steps, F features, N blocks of a group, R rows of a block, U units rounded up,
I inputs and a bias, rounded up.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hpo.models.layers.recurrent import Recurrent
from hpo.training.layers.dense import no_backward
from hpo.training.layers.frame import LayerContext, Pass, Rule
from hpo.training.recurrent.plan import STRIDE, Group, groups_of
from hpo.training.recurrent.pooled import Pooled
from hpo.training.recurrent.weights import Weights


def recurrent(context: LayerContext, layer: nn.Module) -> Pass:
    """[K, B, T, F] -> [K, B, T, directions * units], 0 behind a sequence's end; or pooled, without T."""
    assert isinstance(layer, Recurrent)
    directions = [
        Direction(Weights(context, layer, suffix), reverse=bool(suffix))
        for suffix in ("", "_reverse")[: layer.directions]
    ]
    units = layer.units

    def forward(x: Tensor) -> tuple[Tensor, Any]:
        lanes, batch, length = x.shape[:3]
        real = context.real
        ends = torch.full((lanes, batch), length, device=x.device) if real is None else real.sum(2)
        groups = list(groups_of(ends, directions[0].size))
        rows = lanes * batch * (1 if layer.pooling else length)
        y = x.new_zeros(rows + 1, units * layer.directions)  # the last one for steps that are not there
        kept = []
        for number, direction in enumerate(directions):
            out = y[:, number * units : (number + 1) * units]
            done = direction.forward(groups, x, out)
            kept.append([one for one in done if context.frame.training])
        shape = x.shape[:2] if layer.pooling else x.shape[:3]
        return y[:-1].view(*shape, -1), (kept, x.shape)

    if not context.frame.training:
        return Pass(forward, no_backward)

    def backward(all_kept: Any, g: Tensor, wanted: bool) -> Tensor | None:
        kept, shape = all_kept
        d_x = g.new_zeros(shape[:3].numel() + 1, shape[3]) if wanted else None
        for number, direction in enumerate(directions):
            d_y = g.flatten(0, -2)[:, number * units : (number + 1) * units]
            direction.backward(kept[number], shape, d_y, d_x)
        return None if d_x is None else d_x[:-1].view(shape)

    return Pass(forward, backward)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What the way back needs of a group."""

    group: Group
    rows_NTR: Tensor
    inputs: Tensor
    """Weights [N, G * U, I]."""
    hidden: Tensor
    """Weights [N, G * U, U]."""
    x_NTRI: Tensor
    h_NTRU: Tensor
    """The state before each step, and after the last one."""
    steps: list[Any]
    """What each step has kept."""
    pooled: Pooled | None


class Direction:
    """One direction of a layer."""

    def __init__(self, weights: Weights, *, reverse: bool) -> None:
        self.weights, self.reverse = weights, reverse
        self.cell, self.room, self.layer = weights.cell, weights.room, weights.layer
        self.size = len(self.cell.hidden) * self.room * (self.room + weights.columns)
        """Weights of a lane."""

    def forward(self, groups: list[Group], x: Tensor, out: Tensor) -> Iterator[Done]:
        """Runs all groups; writes outputs into rows of `out`."""
        lanes, batch, length, features = x.shape
        total = lanes * batch * length
        inputs, hidden, bias = self.weights.packed()
        shared = lanes > 1 and x.stride(0) == 0  # at inference all lanes have the same examples
        flat = x[:1].flatten(0, 2) if shared else x.flatten(0, 2)
        for group in groups:
            rows = group.rows(length, total, reverse=self.reverse)
            real = (rows < total).to(x.dtype).unsqueeze(3)
            given = x.new_zeros(*rows.shape, self.weights.columns)
            where = rows.clamp(max=total - 1) % len(flat)
            found = flat.index_select(0, where.flatten()).view(*rows.shape, features)
            torch.mul(found, real, out=given[..., :features])
            given[..., features] = real.squeeze(3)
            own = [part.index_select(0, group.lanes_N) for part in (inputs, hidden, bias)]
            h, steps = self._run(group, given, *own)
            after, pooled = h[:, 1:], None
            if self.layer.pooling:
                pooled = Pooled(self.layer.pooling, group, after)
                out.index_copy_(0, group.examples_NR.flatten(), pooled.value.flatten(0, 1)[:, : self.layer.units])
            else:
                out.index_copy_(0, rows.flatten(), after[..., : self.layer.units].flatten(0, 2))
            yield Done(
                group=group,
                rows_NTR=rows,
                inputs=own[0],
                hidden=own[1],
                x_NTRI=given,
                h_NTRU=h,
                steps=steps,
                pooled=pooled,
            )

    def _run(self, group: Group, x: Tensor, inputs: Tensor, hidden: Tensor, bias: Tensor) -> tuple[Tensor, list[Any]]:
        """The states before and after all steps, and what these have kept."""
        h = x.new_empty(group.count, group.steps + 1, x.shape[2], self.room)
        h[:, 0] = 0.0
        state = tuple(h[:, 0] for _ in range(self.cell.states))
        columns, weight = inputs.transpose(1, 2), hidden.transpose(1, 2)
        steps: list[Any] = []
        for stretch, k in enumerate(group.blocks):
            begin = stretch * STRIDE
            given = torch.bmm(x[:k, begin : begin + STRIDE].flatten(1, 2), columns[:k]).unflatten(1, (STRIDE, -1))
            state = tuple(part[:k] for part in state)
            now, late = weight[:k], bias[:k]
            for step in range(STRIDE):
                out = h[:k, begin + step + 1]
                state, kept = self.cell.forward(self.room, given[:, step], now, late, state, out)
                if not self.cell.bounded:
                    out.mul_(group.real_TNR1[begin + step, :k])
                if self.weights.context.frame.training:
                    steps.append(kept)
        return h, steps

    def backward(self, kept: list[Done], shape: torch.Size, d_y: Tensor, d_x: Tensor | None) -> None:
        """Writes the gradients of the weights; adds that of the input to rows of `d_x`."""
        lanes = shape[0]
        totals: list[Tensor] | None = None
        for done in kept:
            found = self._back(done, d_y, d_x)
            totals = totals or [part.new_zeros(lanes, *part.shape[1:]) for part in found]
            for total, part in zip(totals, found, strict=True):
                total.index_put_((done.group.lanes_N,), part, accumulate=True)
        assert totals is not None, "a batch has examples"
        self.weights.write_gradients(*totals)

    def _back(self, done: Done, d_y: Tensor, d_x: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients of a group's weights, block by block."""
        cell, room, units, group = self.cell, self.room, self.layer.units, done.group
        rows = group.examples_NR if done.pooled else done.rows_NTR
        here = (rows < len(d_y)).to(d_y.dtype).unsqueeze(-1)
        given = d_y.index_select(0, rows.clamp(max=len(d_y) - 1).flatten()).view(*rows.shape, units) * here
        given = F.pad(given, (0, room - units)) if room > units else given
        d_inputs, d_hidden = torch.zeros_like(done.inputs), torch.zeros_like(done.hidden)
        d_bias = d_y.new_zeros(group.count, cell.biased * room)
        parts = []
        state = tuple(d_y.new_zeros(0, *done.h_NTRU.shape[2:]) for _ in range(cell.states))
        of_inputs, of_hidden = len(cell.inputs) * room, len(cell.hidden) * room
        for stretch in reversed(range(len(group.blocks))):
            k, begin = group.blocks[stretch], stretch * STRIDE
            if k > len(state[0]):
                state = tuple(F.pad(part, (0, 0, 0, 0, 0, k - len(part))) for part in state)
            d_gates = d_y.new_empty(k, STRIDE, *given.shape[-2:-1], cell.width * room)
            weight = done.hidden[:k]
            for step in reversed(range(begin, begin + STRIDE)):
                above = done.pooled.gradient(given, step, k) if done.pooled else given[:k, step]
                state = cell.backward(
                    room, done.steps[step], weight, (state[0] + above, *state[1:]), d_gates[:, step - begin]
                )
            flat, span = d_gates.flatten(1, 2), slice(begin, begin + STRIDE)
            d_given, d_product = flat[..., :of_inputs], flat[..., cell.width * room - of_hidden :]
            d_inputs[:k].baddbmm_(d_given.transpose(1, 2), done.x_NTRI[:k, span].flatten(1, 2))
            d_hidden[:k].baddbmm_(d_product.transpose(1, 2), done.h_NTRU[:k, span].flatten(1, 2))
            if cell.biased:
                d_bias[:k] += flat[..., (cell.width - cell.biased) * room :].sum(1)
            if d_x is not None:
                back = torch.bmm(d_given, done.inputs[:k])[..., : self.layer.features]
                parts.append((done.rows_NTR[:k, span], back))
        if d_x is not None:
            for where, back in parts:
                d_x.index_add_(0, where.flatten(), back.flatten(0, 1))
        return d_inputs, d_hidden, d_bias


RECURRENT: dict[type[nn.Module], Rule] = {Recurrent: recurrent}
"""Type of a plain layer -> how it is bound."""
