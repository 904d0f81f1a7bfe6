"""The weights of one direction of a recurrent layer in K lanes, in the order and with the room that cells want.

Dimensions: K lanes, F inputs, I inputs and a bias, rounded up, H units, U units rounded up, G gates.
"""

from __future__ import annotations

from torch import Tensor

from hpo.models.layers.recurrent import Recurrent
from hpo.training.layers.frame import LayerContext
from hpo.training.layout import ALIGNMENT
from hpo.training.recurrent.cells import CELLS


class Weights:
    """Views of the frame's parameters and gradients."""

    def __init__(self, context: LayerContext, layer: Recurrent, suffix: str) -> None:
        """`suffix`: of the names of PyTorch's parameters, which tells the direction."""
        self.context, self.layer, self.suffix = context, layer, suffix
        self.cell = CELLS[layer.cell]
        self.room = layer.units + -layer.units % ALIGNMENT
        self.columns = layer.features + 1 + -(layer.features + 1) % ALIGNMENT

    def packed(self) -> tuple[Tensor, Tensor, Tensor]:
        """[K, G * U, I] of the inputs with the biases in column F, [K, G * U, U] of the state, and [K, 1, biased * U]
        biases that must be added to the products with the state."""
        cell, units, features = self.cell, self.layer.units, self.layer.features
        of_input, of_state, bias, late = (
            self.view(self.context.parameter, which) for which in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        lanes, separate = len(bias), cell.hidden[len(cell.hidden) - cell.biased :]
        inputs = of_input.new_zeros(lanes, len(cell.inputs), self.room, self.columns)
        hidden = of_input.new_zeros(lanes, len(cell.hidden), self.room, self.room)
        biases = of_input.new_zeros(lanes, cell.biased, self.room)
        for place, gate in enumerate(cell.inputs):
            inputs[:, place, :units, :features] = of_input[:, gate]
            whole = bias[:, gate] if gate in separate else bias[:, gate] + late[:, gate]
            inputs[:, place, :units, features] = whole
        for place, gate in enumerate(cell.hidden):
            hidden[:, place, :units, :units] = of_state[:, gate]
        for place, gate in enumerate(separate):
            biases[:, place, :units] = late[:, gate]
        return inputs.flatten(1, 2), hidden.flatten(1, 2), biases.flatten(1).unsqueeze(1)

    def write_gradients(self, d_inputs: Tensor, d_hidden: Tensor, d_bias: Tensor) -> None:
        """From the gradients of what `packed` gives."""
        cell, units, features = self.cell, self.layer.units, self.layer.features
        of_input, of_state, bias, late = (
            self.view(self.context.gradient, which) for which in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        inputs = d_inputs.unflatten(1, (-1, self.room))
        hidden = d_hidden.unflatten(1, (-1, self.room))
        for place, gate in enumerate(cell.inputs):
            of_input[:, gate] = inputs[:, place, :units, :features]
            bias[:, gate] = late[:, gate] = inputs[:, place, :units, features]
        for place, gate in enumerate(cell.hidden):
            of_state[:, gate] = hidden[:, place, :units, :units]
        for place, gate in enumerate(cell.hidden[len(cell.hidden) - cell.biased :]):
            late[:, gate] = d_bias.flatten(1)[:, place * self.room : place * self.room + units]

    def view(self, find: object, which: str) -> Tensor:
        """[K, G, H, ...] of one of PyTorch's tensors; `find`: of the parameter or of its gradient."""
        units, gates = self.layer.units, len(self.cell.hidden)
        inner = {"weight_ih": (self.layer.features,), "weight_hh": (units,)}.get(which, ())
        assert callable(find)
        found: Tensor = find(f"run.{which}_l0{self.suffix}", (gates * units, *inner))
        return found.view(len(found), gates, units, *inner)
