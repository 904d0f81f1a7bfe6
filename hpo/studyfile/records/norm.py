"""`[norm]` and `[dropout]`: normalisation and dropout between the layers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpo.studyfile.records.base import Count, Probability, Record


class NoNorm(Record):
    """No normalisation layers."""

    kind: Literal["none"] = "none"


Placement = Literal["before_activation", "after_activation", "input"]
PlacementOrCell = Literal["before_activation", "after_activation", "input", "cell"]


class BatchNorm(Record):
    """Statistics per feature over the batch (Ioffe & Szegedy 2015); running averages at inference. A layer directly
    before it has no bias, because the mean is subtracted again; the same holds for `group` with one channel each."""

    kind: Literal["batch"]
    placement: Placement = "before_activation"
    """Between a layer and its activation, behind the activation, or on the model's input alone."""
    every: Count = 1
    """Normalise every n-th hidden layer only, from the first."""
    affine: bool = True
    """Learn a scale and a shift."""
    momentum: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Weight of the newest batch in the running averages."""


class LayerNorm(Record):
    """Statistics per sample over the features (Ba et al. 2016)."""

    kind: Literal["layer"]
    placement: PlacementOrCell = "before_activation"
    """Between a layer and its activation, behind the activation, or on the model's input alone; "cell": in the cells of
    recurrent layers, where each gate's products with the input and with the state are normalised, and the inner state
    of an LSTM before its output."""
    every: Count = 1
    """Normalise every n-th hidden layer only, from the first."""
    affine: bool = True
    """Learn a scale and a shift."""


class RmsNorm(Record):
    """Features divided by the root of their mean square per sample (Zhang & Sennrich 2019): layer normalisation without
    mean and shift."""

    kind: Literal["rms"]
    placement: PlacementOrCell = "before_activation"
    """Between a layer and its activation, behind the activation, or on the model's input alone; "cell": in the cells of
    recurrent layers, where each gate's products with the input and with the state are normalised, and the inner state
    of an LSTM before its output."""
    every: Count = 1
    """Normalise every n-th hidden layer only, from the first."""
    affine: bool = True
    """Learn a scale."""


class GroupNorm(Record):
    """Statistics per sample over groups of channels (Wu & He 2018); for convolutions."""

    kind: Literal["group"]
    placement: Placement = "before_activation"
    """Between a layer and its activation, behind the activation, or on the model's input alone."""
    every: Count = 1
    """Normalise every n-th block only, from the first."""
    affine: bool = True
    """Learn a scale and a shift."""
    groups: Count = 4
    """Groups the channels are divided into; every width must be a multiple."""


class Dropout(Record):
    """Zero features with a probability in training and scale the rest by 1/(1-p)."""

    p: Probability = 0.0
    """After every hidden layer."""
    input: Probability = 0.0
    """On the input features."""
    first: Probability | None = None
    """After the first hidden layer, instead of p."""
    attention: Probability | None = None
    """In a transformer on the weights of attention, instead of p."""
    spatial: bool = False
    """In convolutions drop whole channels instead of pixels."""


Norm = Annotated[NoNorm | BatchNorm | LayerNorm | RmsNorm | GroupNorm, Field(discriminator="kind")]
