"""`[model]` and `[init]`: the network and how its weights start."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from hpo.studyfile.custom import MODULE_PATTERN, Argument
from hpo.studyfile.records.base import Positive, Record, Width

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]


def _odd(number: int) -> int:
    if number % 2 == 0:
        raise ValueError("must be odd")
    return number


EQUAL = {"layers": 2, "width": 64}
"""Keys that stand for `hidden` where all hidden layers are equally wide, and the value of each where only the other is
given."""


class Mlp(Record):
    """Multilayer perceptron. It takes numbers, categories in either form, and texts as bags of words."""

    family: Literal["mlp"]
    hidden: Annotated[tuple[Width, ...], Field(strict=False, max_length=256)] = (64, 64)
    """Units of each hidden layer."""
    layers: Annotated[int, Field(ge=1, le=256)] | None = None
    """How many hidden layers, all of `width` units, in place of `hidden`; 2 where only `width` is given."""
    width: Width | None = None
    """Units of every hidden layer, in place of `hidden`; 64 where only `layers` is given. Trials with different widths
    are computed separately: a choice of few, or a range with a coarse `step`, trains faster than a range of all whole
    numbers."""
    residual: bool = False
    """Make hidden layers residual blocks: norm, linear, activation, dropout, linear, and the block's input added
    (Gorishniy et al. 2021). A linear layer comes before the first block, norm and activation after the last.
    `norm.placement` says whether blocks have their norm there or after the activation."""
    activation: Activation = "relu"
    """Nonlinearity after every hidden layer."""
    embedding: Width = 8
    """Numbers of the vector that stands for a category, where data.categories = "codes"."""
    word_vector: Width = 32
    """Numbers of the vector that stands for a word; a text is the mean of its words."""
    numbers: Literal["plain", "periodic", "piecewise_linear"] = "plain"
    """How the model takes a table's columns of numbers. `periodic`: by a vector for each number, from waves with
    learned frequencies, a linear layer and ReLU (Gorishniy et al. 2022); `piecewise_linear`: the same from the number's
    place in bins between quantiles of the training part."""
    number_vector: Width = 8
    """Numbers of the vector that stands for a number."""
    frequencies: Annotated[int, Field(ge=1, le=1024)] = 16
    """Frequencies of each column, where numbers = "periodic"."""
    sigma: Positive = 0.1
    """Standard deviation of the initial frequencies, in waves per unit of the scaled column: the larger, the finer the
    differences that count."""
    bins: Annotated[int, Field(ge=1, le=1024)] = 16
    """Bins of each column, where numbers = "piecewise_linear"; a column of few values has fewer."""

    @model_validator(mode="before")
    @classmethod
    def _of_equal_width(cls, given: Any) -> Any:
        """`hidden`, where layers or width are given."""
        if not isinstance(given, dict) or (given.get("layers") is None and given.get("width") is None):
            return given
        layers, width = (given.get(key) or default for key, default in EQUAL.items())
        whole = isinstance(layers, int) and isinstance(width, int)
        return {**given, "hidden": [width] * layers} if whole else given


class Cnn(Record):
    """Blocks of convolution, activation and pooling, then a perceptron. On images; or along the steps of sequences or
    the words of texts, where what lies behind a sequence's end changes nothing."""

    family: Literal["cnn"]
    channels: Annotated[tuple[Width, ...], Field(strict=False, min_length=1, max_length=16)] = (8, 16)
    """Output channels of each block; each block halves height and width, or the steps."""
    kernel: Annotated[int, Field(ge=1, le=11, json_schema_extra={"not": {"multipleOf": 2}}), AfterValidator(_odd)] = 3
    """Kernel height and width in pixels, or its steps (odd)."""
    pooling: Literal["max", "average", "stride"] = "max"
    """How a block halves: by the largest or the mean of 2x2 pixels or of 2 steps, or by a convolution with stride 2."""
    residual: bool = False
    """Add a block's input to what its convolution gives, before the activation; after a 1x1 convolution where channels
    or size change (He et al. 2016)."""
    depthwise: bool = False
    """Depthwise separable convolutions: one of each channel on its own, then a 1x1 convolution (Chollet 2017)."""
    head: Literal["flatten", "average"] | None = None
    """What follows the blocks: all pixels of all channels, or each channel's mean (global average pooling); by default
    "flatten" for images and "average" for sequences and texts."""
    word_vector: Width = 32
    """Numbers of the vector that stands for a word of a text."""
    hidden: Annotated[tuple[Width, ...], Field(strict=False, max_length=256)] = ()
    """Units of hidden layers between the last block and the output."""
    activation: Activation = "relu"
    """Nonlinearity after every hidden layer."""


class Recurrent(Record):
    """Recurrent layers over the steps of sequences or the words of texts, pooling, then a perceptron. What lies behind
    a sequence's end changes nothing. A norm before the activation is in front of each recurrent layer, one after it
    behind each, on the features of every step; `batch` has its statistics over real steps. Behind the last layer it is
    on what the pooling gives. `init.scheme` acts on each gate's matrix alone; "orthogonal" is a good one."""

    family: Literal["recurrent"]
    cell: Literal["gru", "lstm", "rnn"] = "gru"
    """Gated recurrent unit, long short-term memory, or a plain recurrent network (`activation` tanh or relu)."""
    width: Width = 64
    """Units of each layer and direction."""
    layers: Annotated[int, Field(ge=1, le=16)] = 1
    """Layers, one on top of the other."""
    bidirectional: bool = False
    """Run each layer from the end to the begin as well; the outputs of both directions stand side by side."""
    pooling: Literal["last", "mean", "max"] = "last"
    """What becomes of the last layer's steps: the last one (of each direction), their mean or their maximum."""
    word_vector: Width = 32
    """Numbers of the vector that stands for a word."""
    hidden: Annotated[tuple[Width, ...], Field(strict=False, max_length=256)] = ()
    """Units of hidden layers between the pooling and the output."""
    activation: Activation = "tanh"
    """Nonlinearity of hidden layers, and of the cell where it is "rnn"; GRU and LSTM have their own."""


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


Model = Annotated[Mlp | Cnn | Recurrent | Transformer | Custom, Field(discriminator="family")]
