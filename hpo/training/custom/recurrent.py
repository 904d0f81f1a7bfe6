"""Recurrent layers of K lanes: GRU and plain cells step by step with batched products, LSTM lane by lane.

PyTorch's own have no batched form. The backward pass is written by hand, because recording every step takes longer than
its arithmetic. A few lanes at a time go through all steps, so that a step's numbers stay in the processor's cache, and
what is kept for the backward pass lies in memory that the next step uses again: getting memory from the system takes
as long as filling it. PyTorch's LSTM is a kernel of its own on CPUs, which batching does not beat.

Dimensions: K lanes, B examples, T steps, F features, H hidden units, G gates times H.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from hpo.training.custom.over_lanes import give_back, take

IN_CACHE = 2**16
"""Numbers of the gates of one step that lanes computed together have at most."""
GATES = {"gru": 3, "rnn_tanh": 1, "rnn_relu": 1}

sigmoid_backward = torch.ops.aten.sigmoid_backward
tanh_backward = torch.ops.aten.tanh_backward
relu_backward = torch.ops.aten.threshold_backward


def recurrence(
    kind: str,
    backwards: bool,
    any_order: bool,
    x: Tensor,
    h: Tensor,
    w_input: Tensor,
    w_hidden: Tensor,
    b_input: Tensor | None,
    b_hidden: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """One direction of one layer: [K, T, B, F] and initial states [K, B, H] -> outputs [K, T, B, H], and the last
    states [K, B, H]. `any_order`: whether an input in another order in memory may get a gradient, see
    `hpo.conventions.BATCH_FIRST_IS_FUSED`."""
    none = w_hidden.new_zeros(w_hidden.shape[:2])
    biases = [none if bias is None else bias for bias in (b_input, b_hidden)]
    given = kind, backwards, any_order, x, h, w_input, w_hidden, *biases
    y = _Recurrence.apply(*given)  # type: ignore[no-untyped-call]  # torch gives it no types
    return y, y[:, 0 if backwards else -1]


def lstm(backwards: bool, x: Tensor, h: Tensor, c: Tensor, *weights: Tensor) -> tuple[Tensor, ...]:
    """One direction of one layer of an LSTM, lane by lane: arguments and results as of `recurrence`, with the cells'
    states."""
    x = x.flip(1) if backwards else x
    per_lane = [weight.unbind() for weight in weights]
    lanes = [
        torch.lstm(rows, (h_0.unsqueeze(0), c_0.unsqueeze(0)), mine, len(mine) > 2, 1, 0.0, False, False, False)
        for rows, h_0, c_0, *mine in zip(x.unbind(), h.unbind(), c.unbind(), *per_lane, strict=True)
    ]
    y, last, cells = (torch.stack(found) for found in zip(*lanes, strict=True))
    return y.flip(1) if backwards else y, last[:, 0], cells[:, 0]


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: str,
        backwards: bool,
        any_order: bool,
        x: Tensor,
        h: Tensor,
        w_x: Tensor,
        w_h: Tensor,
        b_x: Tensor,
        b_h: Tensor,
    ) -> Tensor:
        lanes, steps, batch, features = x.shape
        size, keeps = w_h.shape[2], any(ctx.needs_input_grad)
        y, kept = x.new_empty(lanes, steps, batch, size), []
        order = range(steps - 1, -1, -1) if backwards else range(steps)
        for some in _portions(lanes, w_h.shape[1] * batch, x.is_cuda):
            many = some.stop - some.start
            gates = take(x, many, steps * batch, w_h.shape[1])
            rows = x[some].reshape(many, steps * batch, features)
            torch.baddbmm(b_x[some].unsqueeze(1), rows, w_x[some].transpose(1, 2), out=gates)
            gates_T = gates.view(many, steps, batch, -1).unbind(1)
            states_T = take(x, steps, many, batch, size)
            forward = _gru if kind == "gru" else _plain
            more = forward(kind, order, gates_T, h[some], w_h[some].transpose(1, 2), b_h[some].unsqueeze(1), states_T)
            y[some].copy_(states_T.transpose(0, 1))
            give_back(gates)
            if keeps:
                kept.append((states_T, *more))
            else:
                give_back(states_T, *more)
        ctx.save_for_backward(x, h, w_x, w_h)
        ctx.kind, ctx.order, ctx.any_order, ctx.kept = kind, order, any_order, kept
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Any:
        x, h, w_x, w_h = ctx.saved_tensors
        lanes, steps, batch, features = x.shape
        gates, size = w_h.shape[1:]
        order = torch.contiguous_format if ctx.any_order else torch.preserve_format
        dx = torch.empty_like(x, memory_format=order) if ctx.needs_input_grad[3] else None
        dh, dw_x, dw_h = torch.empty_like(h), torch.empty_like(w_x), torch.empty_like(w_h)
        db_x, db_h = w_h.new_empty(lanes, gates), w_h.new_empty(lanes, gates)
        for some, kept in zip(_portions(lanes, gates * batch, x.is_cuda), ctx.kept, strict=True):
            many = some.stop - some.start
            d_x = take(x, many, steps, batch, gates)
            d_h = take(x, many, steps, batch, gates) if ctx.kind == "gru" else d_x
            back = _gru_back if ctx.kind == "gru" else _plain_back
            dh[some] = back(ctx.kind, ctx.order, dy[some].unbind(1), h[some], w_h[some], kept, d_x, d_h)
            before = take(x, many, steps, batch, size)
            at = list(ctx.order)
            before[:, at[0]] = h[some]
            if steps > 1:
                first, then = (slice(0, -1), slice(1, None)) if at[0] == 0 else (slice(1, None), slice(0, -1))
                before[:, then] = kept[0][first].transpose(0, 1)
            flat_x, flat_h = d_x.view(many, -1, gates), d_h.view(many, -1, gates)
            torch.bmm(flat_h.transpose(1, 2), before.view(many, -1, size), out=dw_h[some])
            torch.bmm(flat_x.transpose(1, 2), x[some].reshape(many, -1, features), out=dw_x[some])
            torch.sum(flat_x, 1, out=db_x[some])
            torch.sum(flat_h, 1, out=db_h[some])
            if dx is not None:
                torch.bmm(flat_x, w_x[some], out=dx[some].view(many, -1, features))
            give_back(before, d_x, *kept, *([d_h] if ctx.kind == "gru" else []))
        ctx.kept = []
        return None, None, None, dx, dh, dw_x, dw_h, db_x, db_h


def _gru(
    kind: str, order: range, gates_T: Any, h: Tensor, w: Tensor, bias: Tensor, states_T: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Writes the states [T, K, B, H]; returns the gates, the new values and their hidden part."""
    steps, *shape, size = states_T.shape
    rz_T, n_T, hn_T = take(h, steps, *shape, 2 * size), take(h, *states_T.shape), take(h, *states_T.shape)
    own = take(h, *shape, 3 * size)
    own_rz, own_n = own.split([2 * size, size], dim=-1)
    for t in order:
        torch.baddbmm(bias, h, w, out=own)
        gates_rz, gates_n = gates_T[t].split([2 * size, size], dim=-1)
        rz, n = rz_T[t], n_T[t]
        r, z = rz.split(size, dim=-1)
        torch.add(gates_rz, own_rz, out=rz).sigmoid_()
        torch.addcmul(gates_n, r, hn_T[t].copy_(own_n), out=n).tanh_()
        h = torch.lerp(n, h, z, out=states_T[t])
    give_back(own)
    return rz_T, n_T, hn_T


def _gru_back(kind: str, order: range, dy_T: Any, h: Tensor, w: Tensor, kept: Any, d_x: Tensor, d_h: Tensor) -> Tensor:
    """Writes the gradients of both parts of the gates [K, T, B, 3H]; returns that of the initial states."""
    states_T, rz_T, n_T, hn_T = kept
    size = h.shape[-1]
    carried, one, two, other = (take(h, *h.shape) for _ in range(4))
    carried.zero_()
    for position in range(len(order) - 1, -1, -1):
        t = order[position]
        before = states_T[order[position - 1]] if position else h
        r, z = rz_T[t].split(size, dim=-1)
        n, new, own = n_T[t], d_x[:, t], d_h[:, t]
        new_r, new_z, new_n = new.split(size, dim=-1)
        own_r, own_z, own_n = own.split(size, dim=-1)
        carried.add_(dy_T[t])
        torch.sub(before, n, out=one).mul_(carried)
        new_z.copy_(sigmoid_backward.grad_input(one, z, grad_input=two))
        own_z.copy_(two)
        torch.mul(carried, z, out=one)
        carried.sub_(one)
        new_n.copy_(tanh_backward.grad_input(carried, n, grad_input=two))
        own_n.copy_(torch.mul(two, r, out=other))
        two.mul_(hn_T[t])
        new_r.copy_(sigmoid_backward.grad_input(two, r, grad_input=other))
        own_r.copy_(other)
        torch.baddbmm(one, own, w, out=carried)
    give_back(one, two, other, carried)
    return carried


def _plain(
    kind: str, order: range, gates_T: Any, h: Tensor, w: Tensor, bias: Tensor, states_T: Tensor
) -> tuple[Tensor, ...]:
    """Writes the states [T, K, B, H]."""
    for t in order:
        h = torch.baddbmm(bias, h, w, out=states_T[t]).add_(gates_T[t])
        h = h.tanh_() if kind == "rnn_tanh" else h.relu_()
    return ()


def _plain_back(
    kind: str, order: range, dy_T: Any, h: Tensor, w: Tensor, kept: Any, d_x: Tensor, d_h: Tensor
) -> Tensor:
    """Writes the gradients of the gates [K, T, B, H]; returns that of the initial states."""
    carried = torch.zeros_like(h)
    for t in reversed(order):
        carried.add_(dy_T[t])
        state = kept[0][t]
        d_x[:, t] = tanh_backward(carried, state) if kind == "rnn_tanh" else relu_backward(carried, state, 0)
        torch.bmm(d_x[:, t], w, out=carried)
    return carried


def _portions(lanes: int, numbers: int, all_at_once: bool) -> Iterator[slice]:
    """Lanes that are computed together."""
    many = lanes if all_at_once else max(1, IN_CACHE // numbers)
    return (slice(begin, min(begin + many, lanes)) for begin in range(0, lanes, many))
