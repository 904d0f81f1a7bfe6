"""`[model]` and `[init]`: the network and how its weights start."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from hpo.studyfile.custom import MODULE_PATTERN, Argument
from hpo.studyfile.records.base import Positive, Record, Width

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("must be odd")
    return number


class Mlp(Record):
    """Multilayer perceptron. It takes numbers, categories in either form, and texts as bags of words."""

    family: Literal["mlp"]
    hidden: Annotated[tuple[Width, ...], Field(strict=False, max_length=256)] = (64, 64)
    """Units of each hidden layer."""
    activation: Activation = "relu"
    """Nonlinearity after every hidden layer."""
    embedding: Width = 8
    """Numbers of the vector that stands for a category, where data.categories = "codes"."""
    word_vector: Width = 32
    """Numbers of the vector that stands for a word; a text is the mean of its words."""


class Cnn(Record):
    """Blocks of convolution, activation and 2x2 max pooling, then a perceptron."""

    family: Literal["cnn"]
    channels: Annotated[tuple[Width, ...], Field(strict=False, min_length=1, max_length=16)] = (8, 16)
    """Output channels of each block; each block halves height and width."""
    kernel: Annotated[int, Field(ge=1, le=11, json_schema_extra={"not": {"multipleOf": 2}}), AfterValidator(_odd)] = 3
    """Kernel height and width in pixels (odd)."""
    hidden: Annotated[tuple[Width, ...], Field(strict=False, max_length=256)] = ()
    """Units of hidden layers between the last block and the output."""
    activation: Activation = "relu"
    """Nonlinearity after every hidden layer."""


class Transformer(Record):
    """Transformer encoder (Vaswani et al. 2017) for sequences and texts: layers of attention and a feed-forward part,
    both with a residual connection, then one vector of each example. Steps behind an example's end are not computed.

    A layer's dropout is where `nn.TransformerEncoderLayer` has it: on attention weights, after attention, and after
    both layers of the feed-forward part. Without `[norm]`, the last weights of each residual branch start at 0, so that
    every layer begins as the identity."""

    family: Literal["transformer"]
    width: Width = 32
    """Numbers of a step's vector; a multiple of `heads`."""
    depth: Annotated[int, Field(ge=1, le=64)] = 2
    """Layers."""
    heads: Width = 4
    """Heads of attention."""
    feedforward: Width = 128
    """Units of the hidden layer in each layer's feed-forward part; four times the width is usual."""
    activation: Activation = "relu"
    """Nonlinearity of the feed-forward part."""
    positions: Literal["learned", "sinusoidal", "none"] = "learned"
    """How a step's vector says where the step is: a learned vector is added, one of sines and cosines, or none."""
    pooling: Literal["mean", "max", "class_token"] = "mean"
    """The vector of an example: mean or maximum over its steps, or the vector of a learned step before them."""
    norm_first: bool = True
    """Normalise the input of attention and feed-forward (pre-norm), and the last layer's output; false: the sum behind
    each (post-norm)."""


class Custom(Record):
    """A module of your own, called as `Net(input_shape, outputs, **arguments)`; see "Your own model" in the README."""

    family: Literal["custom"]
    module: Annotated[str, Field(pattern=MODULE_PATTERN)]
    """`net.py:Net`: a class or function in a Python file, its path relative to the study file; or
    `package.module:Net` in something installed."""
    arguments: dict[str, Argument] = Field({})
    """Keyword arguments of the call: numbers, texts, true or false, lists of these, ranges and choices."""


class Init(Record):
    """How weights start; biases start at zero. Gains follow the activation where the scheme has one."""

    scheme: Literal[
        "zeros",
        "constant",
        "small_normal",
        "lecun_normal",
        "xavier_uniform",
        "xavier_normal",
        "kaiming_uniform",
        "kaiming_normal",
        "orthogonal",
    ] = "kaiming_uniform"
    """Distribution of the initial weights."""
    std: Positive = 0.01
    """Standard deviation of `small_normal`."""
    value: float = 0.1
    """Value of `constant`."""


Model = Annotated[Mlp | Cnn | Transformer | Custom, Field(discriminator="family")]
