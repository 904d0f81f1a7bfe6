"""The multilayer perceptron: flattened features, hidden linear layers, output."""

from math import prod

from torch import nn

from hpo.errors import InputError
from hpo.models.layers.embed import embed_of, width_of
from hpo.models.layers.flow import Add, Skip, SkipLinear
from hpo.models.layers.periodic import Periodic
from hpo.models.layers.piecewise import PiecewiseLinear
from hpo.models.slots import Children, activation_slots, dense_part, dropout_slot, input_slots
from hpo.signature import Signature
from hpo.studyfile.records import Mlp, TrialConfig


def mlp(config: TrialConfig, signature: Signature, outputs: int) -> Children:
    """Children in order: flatten, embed where there are codes or tokens, numbers where these have vectors, norm_input,
    dropout_input, then per hidden layer linear1, norm1_before, activation1, norm1_after, dropout1, and at last output;
    residual blocks: see `residual_part`. Takes values of any shape; a mask is further values."""
    assert isinstance(config.model, Mlp)
    embed = embed_of(signature, config.model)
    features = (prod(signature.shape) if embed is None else width_of(embed),)
    numbers = numbers_of(signature, config.model)
    if numbers is not None:
        features = (features[0] + numbers.columns * (numbers.width - 1),)
    return [
        ("flatten", nn.Flatten()),
        *([] if embed is None else [("embed", embed)]),
        *([] if numbers is None else [("numbers", numbers)]),
        *input_slots(config, features),
        *(residual_part if config.model.residual else dense_part)(config, features, 0, outputs),
    ]


def numbers_of(signature: Signature, model: Mlp) -> Periodic | PiecewiseLinear | None:
    """The layer that gives a vector for each number; None where numbers are taken as they are. Raises InputError if the
    data have no columns of numbers."""
    if model.numbers == "plain":
        return None
    values = [one for one in signature.inputs if one.name == "values"]
    if not values or not values[0].numeric:
        raise InputError(
            f'model.numbers = "{model.numbers}" is for the columns of numbers of a table, but the data have none. '
            'Take model.numbers = "plain".'
        )
    if model.numbers == "piecewise_linear":
        return PiecewiseLinear(columns=values[0].numeric, bins=model.bins, width=model.number_vector)
    return Periodic(columns=values[0].numeric, waves=model.frequencies, width=model.number_vector)


def residual_part(config: TrialConfig, shape: tuple[int, ...], first_layer: int, outputs: int) -> Children:
    """As `dense_part`, with residual blocks: project, then per block skip1, norm1_before, linear1, activation1,
    norm1_after, dropout1, linear_out1, add1, and norm and activation before output. Where the width changes, a block's
    input is added after a product."""
    assert isinstance(config.model, Mlp)
    features, widths = prod(shape), config.model.hidden
    children: Children = []
    if widths:
        children.append(("project", nn.Linear(features, widths[0])))
        features = widths[0]
    for layer, width in enumerate(widths, start=first_layer):
        number = layer + 1
        before, _, _ = activation_slots(config, layer, (features,))
        _, activation, after = activation_slots(config, layer, (width,))
        children += [
            (f"skip{number}", Skip() if features == width else SkipLinear(features, width)),
            before,
            (f"linear{number}", nn.Linear(features, width)),
            activation,
            after,
            dropout_slot(config, layer),
            (f"linear_out{number}", nn.Linear(width, width)),
            (f"add{number}", Add()),
        ]
        features = width
    if widths:
        before, activation, _ = activation_slots(config, first_layer + len(widths), (features,))
        children += [before, activation]
    return [*children, ("output", nn.Linear(features, outputs))]
