"""The transformer encoder: layers of attention and feed-forward over the steps of a sequence or the words of a text."""

from __future__ import annotations

from collections.abc import Set
from math import sqrt

from torch import nn

from hpo.errors import InputError
from hpo.models.activations import ACTIVATIONS
from hpo.models.layers.attention import Attention, ClassToken, Positions
from hpo.models.layers.flow import Add, Skip
from hpo.models.layers.pooling import Pool
from hpo.models.layers.steps import Steps
from hpo.models.norm import step_norm
from hpo.models.slots import Children, word_steps
from hpo.signature import Signature
from hpo.studyfile.records import BatchNorm, NoNorm, Transformer, TrialConfig

BRANCHES = (("attention", "attention_out"), ("feedforward", "linear_out"))
"""The residual branches of a layer, and the name of the last linear layer of each."""


def transformer(config: TrialConfig, signature: Signature, outputs: int) -> Children:
    """Children in order: steps, norm_input, dropout_input, project (not for texts), class_token and positions where the
    study has them; per layer skip_attention1, query_key_value1, attention1, attention_out1, dropout_attention1,
    add_attention1, skip_feedforward1, linear1, activation1, dropout1, linear_out1, dropout_feedforward1,
    add_feedforward1, with norm_attention1 and norm_feedforward1 behind the skip or behind the sum; then norm_output
    (pre-norm), pool and output.

    Raises InputError if the inputs are no sequences and no texts, if heads do not divide the width, or if the
    normalisation has no meaning here.
    """
    model = config.model
    assert isinstance(model, Transformer)
    _check(config, model)
    first, length = _first(config, model, signature)
    token = model.pooling == "class_token"
    children: Children = [*first, *([("class_token", ClassToken(model.width))] if token else [])]
    if model.positions != "none":
        scale = sqrt(2.0 / model.width) if signature.names == ("tokens",) else 1.0
        children.append(("positions", Positions(length + token, model.width, model.positions, scale)))
    for layer in range(model.depth):
        children += _layer(config, model, layer)
    if model.norm_first:
        children.append(("norm_output", _norm(config, model, 0)))
    return [
        *children,
        ("pool", Pool("first" if token else model.pooling)),
        ("output", nn.Linear(model.width, outputs)),
    ]


def unnormalised(model: nn.Sequential) -> Set[str]:
    """The last linear layers of residual branches that have no normalisation."""
    children = dict(model.named_children())
    return {
        f"{last}{layer}"
        for branch, last in BRANCHES
        for layer in range(1, len(children))
        if isinstance(children.get(f"norm_{branch}{layer}"), nn.Identity)
    }


def _check(config: TrialConfig, model: Transformer) -> None:
    norm = config.norm
    if model.width % model.heads:
        raise InputError(
            f"model.heads = {model.heads} does not divide model.width = {model.width}: each head takes an equal share "
            f"of a vector. Take a width of {model.width + -model.width % model.heads}, or other heads."
        )
    if isinstance(norm, BatchNorm):
        raise InputError(
            'norm.kind = "batch" has no place in model.family = "transformer". Take "layer" or "rms", which normalise '
            "each step alone."
        )
    if not isinstance(norm, NoNorm) and norm.placement == "after_activation":
        raise InputError(
            'norm.placement = "after_activation" has no place in model.family = "transformer": model.norm_first says '
            "where it normalises. Leave norm.placement out."
        )


def _first(config: TrialConfig, model: Transformer, signature: Signature) -> tuple[Children, int]:
    """The children up to vectors of the model's width, and the number of steps."""
    if signature.names == ("tokens",):
        words = word_steps(signature, model.width)
        return [("steps", words), *_input(config, model.width)], words.length
    shape = signature.main.shape
    if signature.names not in (("values",), ("values", "mask")) or len(shape) != 2:
        found = " and ".join(f"{one.name} of shape {one.shape}" for one in signature.inputs)
        raise InputError(
            'model.family = "transformer" needs sequences of (steps, channels) or a text, but a sample has '
            f'{found}. Take model.family = "mlp", "cnn" for images, or other data.'
        )
    length, channels = shape
    steps = Steps(channels=channels, length=length, masked="mask" in signature.names)
    return [("steps", steps), *_input(config, channels), ("project", nn.Linear(channels, model.width))], length


def _input(config: TrialConfig, features: int) -> Children:
    own = not isinstance(config.norm, NoNorm) and config.norm.placement == "input"
    norm = step_norm(config.norm, features, "the input") if own else nn.Identity()
    return [("norm_input", norm), ("dropout_input", nn.Dropout(config.dropout.input))]


def _layer(config: TrialConfig, model: Transformer, layer: int) -> Children:
    """A layer, counted from 0."""
    number, width = layer + 1, model.width
    dropout = config.dropout
    p = dropout.first if layer == 0 and dropout.first is not None else dropout.p
    attention: Children = [
        (f"query_key_value{number}", nn.Linear(width, 3 * width)),
        (f"attention{number}", Attention(model.heads, p if dropout.attention is None else dropout.attention)),
        (f"attention_out{number}", nn.Linear(width, width)),
    ]
    feedforward: Children = [
        (f"linear{number}", nn.Linear(width, model.feedforward)),
        (f"activation{number}", ACTIVATIONS[model.activation]()),
        (f"dropout{number}", nn.Dropout(p)),
        (f"linear_out{number}", nn.Linear(model.feedforward, width)),
    ]
    children: Children = []
    for branch, inner in (("attention", attention), ("feedforward", feedforward)):
        norm = [(f"norm_{branch}{number}", _norm(config, model, layer))]
        before, after = (norm, []) if model.norm_first else ([], norm)
        children += [(f"skip_{branch}{number}", Skip()), *before, *inner]
        children += [(f"dropout_{branch}{number}", nn.Dropout(p)), (f"add_{branch}{number}", Add()), *after]
    return children


def _norm(config: TrialConfig, model: Transformer, layer: int) -> nn.Module:
    norm = config.norm
    if isinstance(norm, NoNorm) or norm.placement == "input" or layer % norm.every:
        return nn.Identity()
    return step_norm(norm, model.width, f"layer {layer + 1}")
