"""One step of each cell, forward and back, for the blocks of a group.

All gates of a step are one product. Their order is such that those with the same activation are neighbours; `inputs`
and `hidden` say which gate of PyTorch's stands where. A cell whose numbers are all 0 stays 0, so that units may be
rounded up.

Dimensions: N blocks, R rows, U units, rounded up.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


class Cell:
    """Kind of cell. A state is a tuple of [N, R, U], of which the first is the output."""

    inputs: tuple[int, ...]
    """PyTorch's number of each gate, in the order of the products with the input."""
    hidden: tuple[int, ...]
    """The same for the products with the state."""
    states: int = 1
    """Tensors of a state."""
    kept: int
    """Numbers per unit that the way back needs, for the estimate of memory."""
    width: int
    """Gradients per unit that the way back gives. The first ones belong to `inputs`, the last ones to `hidden`."""
    bounded: bool = True
    """Whether its outputs are finite, however many steps follow a sequence's end."""
    biased: int = 0
    """How many of `hidden`, the last ones, have a bias that cannot be added to the one of the input."""

    def forward(
        self, units: int, given: Tensor, weight: Tensor, bias: Tensor, state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[tuple[Tensor, ...], Any]:
        """The next state, whose output is written into `out`, and what `backward` needs. `given`: products with the
        input [N, R, inputs * U]; `weight`: [N, U, hidden * U]; `bias` [N, 1, biased * U]."""
        raise NotImplementedError

    def backward(
        self, units: int, kept: Any, weight: Tensor, d_state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[Tensor, ...]:
        """From the gradient of a state to that of the state before; writes the gradient of the gates into `out`,
        [N, R, width * U]. `weight`: [N, hidden * U, U]."""
        raise NotImplementedError


class Gru(Cell):
    """Cho et al. 2014, in PyTorch's form: n = tanh(W x + b + r * (U h + c))."""

    inputs, hidden = (2, 0, 1), (0, 1, 2)
    kept, width, biased = 8, 4, 1

    def forward(
        self, units: int, given: Tensor, weight: Tensor, bias: Tensor, state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[tuple[Tensor, ...], Any]:
        (h,) = state
        rz = torch.baddbmm(given[..., units:], h, weight[..., : 2 * units]).sigmoid_()
        recurrent = torch.baddbmm(bias, h, weight[..., 2 * units :])
        n = torch.addcmul(given[..., :units], rz[..., :units], recurrent).tanh_()
        torch.lerp(n, h, rz[..., units:], out=out)
        return (out,), (h, rz, n, recurrent)

    def backward(
        self, units: int, kept: Any, weight: Tensor, d_state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[Tensor, ...]:
        h, rz, n, recurrent = kept
        (d_h,) = d_state
        d_n, d_rz, d_recurrent = out[..., :units], out[..., units : 3 * units], out[..., 3 * units :]
        past = d_h * rz[..., units:]
        aten.tanh_backward.grad_input(d_h - past, n, grad_input=d_n)
        torch.mul(d_n, recurrent, out=d_rz[..., :units])
        torch.mul(h - n, d_h, out=d_rz[..., units:])
        aten.sigmoid_backward.grad_input(d_rz, rz, grad_input=d_rz)
        torch.mul(d_n, rz[..., :units], out=d_recurrent)
        return (torch.baddbmm(past, out[..., units:], weight),)


class Lstm(Cell):
    """Hochreiter & Schmidhuber 1997, with forget gates."""

    inputs = hidden = (0, 1, 3, 2)
    states, kept, width = 2, 11, 4

    def forward(
        self, units: int, given: Tensor, weight: Tensor, bias: Tensor, state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[tuple[Tensor, ...], Any]:
        h, c = state
        gates = torch.baddbmm(given, h, weight)
        ifo = gates[..., : 3 * units].sigmoid_()
        g = gates[..., 3 * units :].tanh_()
        new = torch.addcmul(ifo[..., units : 2 * units] * c, ifo[..., :units], g)
        tanh = new.tanh()
        torch.mul(ifo[..., 2 * units :], tanh, out=out)
        return (out, new), (c, ifo, g, tanh)

    def backward(
        self, units: int, kept: Any, weight: Tensor, d_state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[Tensor, ...]:
        c, ifo, g, tanh = kept
        d_h, d_c = d_state
        d_c = d_c + aten.tanh_backward(d_h * ifo[..., 2 * units :], tanh)
        torch.mul(d_c, g, out=out[..., :units])
        torch.mul(d_c, c, out=out[..., units : 2 * units])
        d_ifo, d_g = out[..., : 3 * units], out[..., 3 * units :]
        torch.mul(d_h, tanh, out=d_ifo[..., 2 * units :])
        aten.sigmoid_backward.grad_input(d_ifo, ifo, grad_input=d_ifo)
        aten.tanh_backward.grad_input(d_c * ifo[..., :units], g, grad_input=d_g)
        return torch.bmm(out, weight), d_c * ifo[..., units : 2 * units]


class Tanh(Cell):
    """Elman 1990."""

    inputs = hidden = (0,)
    kept, width = 3, 1

    def forward(
        self, units: int, given: Tensor, weight: Tensor, bias: Tensor, state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[tuple[Tensor, ...], Any]:
        torch.tanh(torch.baddbmm(given, state[0], weight), out=out)
        return (out,), out

    def backward(
        self, units: int, kept: Any, weight: Tensor, d_state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[Tensor, ...]:
        aten.tanh_backward.grad_input(d_state[0], kept, grad_input=out)
        return (torch.bmm(out, weight),)


class Relu(Tanh):
    """The same with another activation."""

    bounded = False

    def forward(
        self, units: int, given: Tensor, weight: Tensor, bias: Tensor, state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[tuple[Tensor, ...], Any]:
        torch.clamp(torch.baddbmm(given, state[0], weight), min=0.0, out=out)
        return (out,), out

    def backward(
        self, units: int, kept: Any, weight: Tensor, d_state: tuple[Tensor, ...], out: Tensor
    ) -> tuple[Tensor, ...]:
        out.copy_(aten.threshold_backward(d_state[0], kept, 0))
        return (torch.bmm(out, weight),)


CELLS: dict[str, Cell] = {"GRU": Gru(), "LSTM": Lstm(), "RNN_TANH": Tanh(), "RNN_RELU": Relu()}
"""By the name that `Recurrent` has for it."""
