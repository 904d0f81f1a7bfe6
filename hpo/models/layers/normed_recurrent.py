"""A recurrent layer with normalisation in its cells.

Copied into exports, so it needs torch alone and has lines of 88 columns.

Dimensions: B examples, T steps, F features, G gates, H units of a direction.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hpo.models.layers.flow import Carried
from hpo.models.layers.pooling import Pool
from hpo.models.layers.recurrent import Recurrent

EPS = 1e-5
"""Added to the variance, or to the mean square."""
OF_PRODUCTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
"""Parameters of a direction, as PyTorch names them."""


class NormedRecurrent(Recurrent):
    """In each cell, the products with the input and with the state are normalised
    (Ba et al. 2016), each gate's H numbers on their own, before their biases are added;
    and so is an LSTM's inner state where its output comes from it."""

    def __init__(
        self,
        cell: str,
        features: int,
        units: int,
        directions: int,
        pooling: str,
        norm: str,
        affine: bool,
    ) -> None:
        """The first ones as in `Recurrent`. `norm`: "layer" or "rms". `affine`: whether
        scales are learned; the cell's biases shift."""
        super().__init__(cell, features, units, directions, pooling)
        self.norm, self.affine = norm, affine
        self.suffixes = ("", "_reverse")[:directions]
        if affine:
            for suffix in self.suffixes:
                for name, size in self.scales().items():
                    scale = nn.Parameter(torch.ones(size))
                    self.register_parameter(name + suffix, scale)

    def scales(self) -> dict[str, int]:
        """Names of the scales of one direction, and how many numbers each has."""
        gates = {"GRU": 3, "LSTM": 4}.get(self.cell, 1) * self.units
        inner = {"scale_c": self.units} if self.cell == "LSTM" else {}
        return {"scale_ih": gates, "scale_hh": gates, **inner}

    def __repr__(self) -> str:
        """The call that makes it."""
        inner = super().__repr__().removeprefix("Recurrent(").removesuffix(")")
        return f"NormedRecurrent({inner}, norm={self.norm!r}, affine={self.affine})"

    def forward(self, x: Tensor, carried: Carried) -> Tensor:
        """[B, T, F] -> [B, T, directions * H], 0 behind a sequence's end; pooled,
        [B, directions * H]."""
        real = carried.real
        if real is None:
            real = torch.ones(x.shape[:2], dtype=torch.bool, device=x.device)
        parts = [self._run(x, real.unsqueeze(2), suffix) for suffix in self.suffixes]
        y = torch.cat(parts, dim=2)
        if not self.pooling:
            return y
        backward = self.units * (self.directions - 1)
        return Pool(self.pooling, backward).forward(y, carried)

    def _run(self, x: Tensor, real: Tensor, suffix: str) -> Tensor:
        """One direction."""
        names = (f"{name}_l0{suffix}" for name in OF_PRODUCTS)
        weight, recurrent, bias, late = map(self.run.get_parameter, names)
        given = self._normed(x @ weight.T, "scale_ih" + suffix) + bias
        state = (x.new_zeros(len(x), self.units),) * (2 if self.cell == "LSTM" else 1)
        steps = range(x.shape[1])
        outputs = [state[0]] * x.shape[1]
        for step in reversed(steps) if suffix else steps:
            product = self._normed(state[0] @ recurrent.T, "scale_hh" + suffix) + late
            new = self._cell(given[:, step], product, state, suffix)
            here = real[:, step]
            pairs = zip(new, state, strict=True)
            state = tuple(torch.where(here, one, before) for one, before in pairs)
            outputs[step] = torch.where(here, new[0], torch.zeros_like(new[0]))
        return torch.stack(outputs, dim=1)

    def _normed(self, z: Tensor, scale: str) -> Tensor:
        """[..., G * H], H numbers at a time."""
        gates, size = z.unflatten(-1, (-1, self.units)), (self.units,)
        functions = nn.functional
        kind = functions.layer_norm if self.norm == "layer" else functions.rms_norm
        y = kind(gates, size, eps=EPS).flatten(-2)
        return y * self.get_parameter(scale) if self.affine else y

    def _cell(
        self,
        given: Tensor,
        product: Tensor,
        state: tuple[Tensor, ...],
        suffix: str,
    ) -> tuple[Tensor, ...]:
        """The next state, whose first part is the output."""
        if self.cell == "GRU":
            r, z, n = given.chunk(3, dim=1)
            more_r, more_z, more_n = product.chunk(3, dim=1)
            r, z = torch.sigmoid(r + more_r), torch.sigmoid(z + more_z)
            n = torch.tanh(n + r * more_n)
            return (n + z * (state[0] - n),)
        if self.cell == "LSTM":
            i, f, g, o = (given + product).chunk(4, dim=1)
            c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
            out = torch.tanh(self._normed(c, "scale_c" + suffix))
            return torch.sigmoid(o) * out, c
        if self.cell == "RNN_RELU":
            return (torch.relu(given + product),)
        return (torch.tanh(given + product),)
