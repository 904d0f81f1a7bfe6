"""The multilayer perceptron: flattened features, hidden linear layers, output."""

from math import prod

from torch import nn

from hpo.models.layers.embed import embed_of, width_of
from hpo.models.slots import Children, dense_part, input_slots
from hpo.signature import Signature
from hpo.studyfile.records import Mlp, TrialConfig


def mlp(config: TrialConfig, signature: Signature, outputs: int) -> Children:
    """Children in order: flatten, embed where there are codes or tokens, norm_input, dropout_input, then per hidden
    layer linear1, norm1_before, activation1, norm1_after, dropout1, and at last output. Takes values of any shape; a
    mask is further values."""
    assert isinstance(config.model, Mlp)
    embed = embed_of(signature, config.model)
    features = (prod(signature.shape) if embed is None else width_of(embed),)
    return [
        ("flatten", nn.Flatten()),
        *([] if embed is None else [("embed", embed)]),
        *input_slots(config, features),
        *dense_part(config, features, 0, outputs),
    ]
