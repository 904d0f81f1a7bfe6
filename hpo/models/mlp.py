"""The multilayer perceptron: flattened features, hidden linear layers, output."""

from math import prod

from torch import nn

from hpo.models.slots import Children, dense_part, input_slots
from hpo.studyfile.records import TrialConfig


def mlp(config: TrialConfig, input_shape: tuple[int, ...], outputs: int) -> Children:
    """Children in order: flatten, norm_input, dropout_input, then per hidden layer linear1, norm1_before,
    activation1, norm1_after, dropout1, and at last output. Takes samples of any shape."""
    features = (prod(input_shape),)
    return [
        ("flatten", nn.Flatten()),
        *input_slots(config, features),
        *dense_part(config, features, 0, outputs),
    ]
