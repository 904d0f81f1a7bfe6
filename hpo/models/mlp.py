"""The multilayer perceptron: flattened features, hidden linear layers, output."""

from math import prod

from torch import nn

from hpo.models.slots import Children, dense_part, input_slots, refuse_codes
from hpo.signature import Signature
from hpo.studyfile.records import TrialConfig


def mlp(config: TrialConfig, signature: Signature, outputs: int) -> Children:
    """Children in order: flatten, norm_input, dropout_input, then per hidden layer linear1, norm1_before,
    activation1, norm1_after, dropout1, and at last output. Takes values of any shape, and a mask as further values.
    Raises InputError for codes and tokens."""
    refuse_codes(signature, "mlp")
    features = (prod(signature.shape),)
    return [
        ("flatten", nn.Flatten()),
        *input_slots(config, features),
        *dense_part(config, features, 0, outputs),
    ]
