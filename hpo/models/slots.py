"""The parts that families have in common: input slots, dense hidden layers and the output.

A slot is a named child that every model of a family has: an absent norm is `nn.Identity`, an absent dropout has p = 0.
So models that differ only in their slots correspond child by child. Slots are the children whose names start with a
word of `SLOTS`; the shapes of all other children are part of the architecture.
"""

from collections.abc import Callable
from math import prod

from torch import nn

from hpo.conventions import NO_IDLE_BIAS
from hpo.errors import InputError
from hpo.models.activations import ACTIVATIONS
from hpo.models.layers.steps import WordSteps
from hpo.models.norm import norm_at
from hpo.printable import listed
from hpo.signature import Signature
from hpo.studyfile.records import Cnn, Mlp, Recurrent, TrialConfig

SLOTS = ("norm", "activation", "dropout")
"""First words of the names of slots."""

Children = list[tuple[str, nn.Module]]


def refuse_codes(signature: Signature, family: str) -> None:
    """Raises InputError for inputs whose numbers are names: codes and tokens."""
    if named := [one.name for one in signature.inputs if one.sizes]:
        what = {"codes": "categories as codes", "tokens": "words"}
        raise InputError(
            f'model.family = "{family}" takes no {" and no ".join(what[name] for name in named)}. Take "mlp", or a '
            "module of your own."
        )


def refuse_text_beside(signature: Signature, family: str) -> None:
    """Raises InputError for a text beside other inputs."""
    if "tokens" in signature.names and len(signature.names) > 1:
        raise InputError(
            f'model.family = "{family}" takes a text alone, and the data have {listed(sorted(signature.names))}. Take '
            '"mlp", or a module of your own, or declare the other columns as ignored in [data.columns].'
        )


def word_steps(signature: Signature, width: int) -> WordSteps:
    """The first layer of a model that reads a text word after word, with vectors of this width."""
    tokens = signature.of("tokens")
    return WordSteps(length=tokens.shape[0], vocabulary=tokens.sizes[0], width=width)


def input_slots(config: TrialConfig, shape: tuple[int, ...]) -> Children:
    """The norm and dropout of the features themselves. Input dropout drops single values, never whole channels, because
    an image often has only one channel."""
    return [
        ("norm_input", norm_at(config.norm, "input", 0, shape, "the input")),
        ("dropout_input", nn.Dropout(config.dropout.input)),
    ]


def activation_slots(
    config: TrialConfig, layer: int, shape: tuple[int, ...], norm_at: Callable[..., nn.Module] = norm_at
) -> Children:
    """Activation of hidden layer `layer` (from 0) and the norm slots around it. `norm_at`: as that of
    `hpo.models.norm`, for inputs of another form."""
    assert isinstance(config.model, Mlp | Cnn | Recurrent)
    number = layer + 1
    place = f"hidden layer {number}"
    return [
        (f"norm{number}_before", norm_at(config.norm, "before_activation", layer, shape, place)),
        (f"activation{number}", ACTIVATIONS[config.model.activation]()),
        (f"norm{number}_after", norm_at(config.norm, "after_activation", layer, shape, place)),
    ]


def keeps_bias(config: TrialConfig, slots: Children) -> bool:
    """Whether the layer before these slots has a bias. It has none if the norm right after it is over examples or
    pixels of one feature, because that subtracts the bias again."""
    _, norm = slots[0]
    alone = isinstance(norm, nn.GroupNorm) and norm.num_groups == norm.num_channels
    idle = alone or isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    return not (idle and config.conventions >= NO_IDLE_BIAS)


def dropout_slot(config: TrialConfig, layer: int, *, channels: bool = False) -> tuple[str, nn.Module]:
    """Dropout after hidden layer `layer` (from 0); of whole channels if the layer has them and the study asks."""
    dropout = config.dropout
    p = dropout.first if layer == 0 and dropout.first is not None else dropout.p
    kind = nn.Dropout2d if channels and dropout.spatial else nn.Dropout
    return f"dropout{layer + 1}", kind(p)


def dense_part(config: TrialConfig, shape: tuple[int, ...], first_layer: int, outputs: int) -> Children:
    """Hidden linear layers, numbered on from `first_layer`, and the output."""
    assert isinstance(config.model, Mlp | Cnn | Recurrent)
    children: Children = []
    features = prod(shape)
    for layer, width in enumerate(config.model.hidden, start=first_layer):
        slots = activation_slots(config, layer, (width,))
        linear = nn.Linear(features, width, bias=keeps_bias(config, slots))
        children += [(f"linear{layer + 1}", linear), *slots]
        children.append(dropout_slot(config, layer))
        features = width
    return [*children, ("output", nn.Linear(features, outputs))]
