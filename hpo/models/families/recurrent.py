"""Recurrent networks over the steps of sequences or the words of texts."""

from torch import nn

from hpo.errors import InputError
from hpo.models.layers.normed_recurrent import NormedRecurrent
from hpo.models.layers.recurrent import Recurrent as Layer
from hpo.models.layers.steps import Steps
from hpo.models.norm import norm_at, step_norm
from hpo.models.slots import Children, dense_part, dropout_slot, refuse_text_beside, word_steps
from hpo.signature import Signature
from hpo.studyfile.records import NoNorm, Placement, Recurrent, TrialConfig

CELLS = {"gru": "GRU", "lstm": "LSTM", "rnn": "RNN"}
"""Name in a study file -> PyTorch's."""


def recurrent(config: TrialConfig, signature: Signature, outputs: int) -> Children:
    """Children in order: steps, norm_input, dropout_input, then per layer norm1_before, recurrent1, norm1_after,
    dropout1, of which the last one pools, then hidden linear layers numbered on from the layers, and output.

    A norm before the activation stands in front of a layer, where its inputs come from, one after it behind the layer
    or its pooling, one in the cell is part of a recurrent layer, and hidden layers have none. Raises InputError for
    inputs other than sequences or texts.
    """
    model = config.model
    assert isinstance(model, Recurrent)
    steps, features = _steps(model, signature)
    children: Children = [
        ("steps", steps),
        ("norm_input", _norm(config, "input", 0, features)),
        ("dropout_input", nn.Dropout(config.dropout.input)),
    ]
    directions = 2 if model.bidirectional else 1
    for layer in range(model.layers):
        last = layer == model.layers - 1
        number, units = layer + 1, directions * model.width
        cell = _layer(config, layer, features, directions, model.pooling if last else "")
        if last:
            after = norm_at(config.norm, "after_activation", layer, (units,), f"recurrent layer {number}")
        else:
            after = _norm(config, "after_activation", layer, units)
        children += [
            (f"norm{number}_before", _norm(config, "before_activation", layer, features)),
            (f"recurrent{number}", cell),
            (f"norm{number}_after", after),
            dropout_slot(config, layer),
        ]
        features = units
    return [*children, *dense_part(config, (features,), model.layers, outputs)]


def _layer(config: TrialConfig, layer: int, features: int, directions: int, pooling: str) -> nn.Module:
    """A recurrent layer. A single unit is left as it is by norms, which would make it 0."""
    model, norm = config.model, config.norm
    assert isinstance(model, Recurrent)
    given = _cell(model), features, model.width, directions, pooling
    if isinstance(norm, NoNorm) or norm.placement != "cell" or layer % norm.every or model.width == 1:
        return Layer(*given)
    return NormedRecurrent(*given, norm.kind, norm.affine)


def _cell(model: Recurrent) -> str:
    if model.cell != "rnn":
        return CELLS[model.cell]
    if model.activation not in ("tanh", "relu"):
        raise InputError(
            f'model.activation = "{model.activation}" is none of a plain recurrent cell, which has "tanh" or "relu". '
            'Take one of these, or model.cell = "gru" or "lstm", where the activation is that of hidden layers alone.'
        )
    return f"RNN_{model.activation.upper()}"


def _norm(config: TrialConfig, placement: Placement, layer: int, features: int) -> nn.Module:
    """The module for a slot between steps."""
    norm = config.norm
    if isinstance(norm, NoNorm) or norm.placement != placement:
        return nn.Identity()
    if placement != "input" and layer % norm.every:
        return nn.Identity()
    where = "the input" if layer == 0 and placement != "after_activation" else f"recurrent layer {layer + 1}"
    return step_norm(norm, features, where)


def _steps(model: Recurrent, signature: Signature) -> tuple[nn.Module, int]:
    """The first layer, and the numbers that it gives for a step."""
    refuse_text_beside(signature, "recurrent")
    known = {one.name: one for one in signature.inputs}
    if "tokens" in known:
        return word_steps(signature, model.word_vector), model.word_vector
    values = known.get("values")
    if values is None or "codes" in known or len(values.shape) != 2:
        what = "images" if values is not None and len(values.shape) == 3 else "the columns of a table"
        other = "cnn" if what == "images" else "mlp"
        raise InputError(
            f'model.family = "recurrent" needs sequences of (length, channels) or a text, and the data are {what}. '
            f'Take model.family = "{other}", or make sequences of the columns by data.shape = [length, channels].'
        )
    length, channels = values.shape
    return Steps(channels=channels, length=length, masked="mask" in known), channels
