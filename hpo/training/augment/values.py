"""Changes to the numbers of images, sequences and tables: noise, the loudness and gaps of sequences, lost features.

Dimensions: S steps, K lanes, B examples, T steps of a sequence, R numbers in a row.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod

import torch
from torch import Tensor

from hpo.signature import Signature
from hpo.training.augment.portion import Portion


def noise(portion: Portion) -> Tensor:
    """Normal noise on every pixel, every real step and every numeric column."""
    main = portion.signature.main
    count = prod(main.shape) if main.numeric is None else main.numeric
    drawn = portion.normal(count).mul_(portion.strength("noise", 2))
    if "mask" in portion.signature.names:
        length, channels = main.shape
        drawn.view(*drawn.shape[:3], length, channels).mul_(_mask(portion).unsqueeze(-1))
    portion.x.flatten(3)[..., :count] += drawn
    return portion.x


def amplify(portion: Portion) -> Tensor:
    """The values of a sequence times one factor. Padding is 0 and stays so."""
    factor = portion.uniform("amplify", 1).mul_(2.0).sub_(1.0).mul_(portion.strength("scale", 2)).add_(1.0)
    portion.x.flatten(3)[..., : prod(portion.signature.main.shape)] *= factor
    return portion.x


def time_mask(portion: Portion) -> Tensor:
    """A run of a sequence's own steps becomes 0."""
    length, channels = portion.signature.main.shape
    size, place = portion.uniform("time_mask", 2).split(1, dim=-1)
    steps = _mask(portion).sum(-1, keepdim=True) if "mask" in portion.signature.names else float(length)
    longest = (portion.strength("time_mask", 2) * steps).floor()
    run = (size * (longest + 1.0)).floor()
    first = (place * (steps - run + 1.0)).floor()
    step = torch.arange(length, device=portion.x.device)
    gone = (step >= first) & (step < first + run)
    steps_SKBTC = portion.x.flatten(3)[..., : length * channels].unflatten(-1, (length, channels))
    steps_SKBTC.masked_fill_(gone.unsqueeze(-1), 0.0)
    return portion.x


def feature_dropout(portion: Portion) -> Tensor:
    """All columns of a lost feature become 0: the mean of a number, no category or an unknown one."""
    features = _features(portion.signature, portion.x.device)
    lost = portion.uniform("features", int(features.max()) + 1) < portion.strength("feature_dropout", 2)
    columns = portion.x[..., : len(features)]
    columns.masked_fill_(lost.index_select(-1, features), 0.0)
    return portion.x


def _mask(portion: Portion) -> Tensor:
    """[S, K, B, T] 1 for each step of a sequence, 0 behind its end."""
    start = portion.signature.start("mask")
    return portion.x[..., start : start + portion.signature.main.shape[0]]


@lru_cache(maxsize=16)
def _features(signature: Signature, device: torch.device) -> Tensor:
    """Number of the feature of each column that is of one; values and codes are the first inputs of a row."""
    found = [feature for one in signature.inputs for feature in one.features]
    return torch.tensor(found, device=device)
