"""Figures of a model's weights, layer by layer: how many are near zero, how much their sizes vary, and how large the
updates were beside them. A trial keeps those of the weights that it ended with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from statistics import median
from typing import Any

from hpo.signs import LARGEST

ATTRIBUTE = "weights"
"""User attribute of a trial that has such figures."""
NEAR = 0.01
"""A weight below this share of the root mean square of its layer's weights is near zero."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LayerWeights:
    """The weights of one layer: one matrix, kernel or table of its parameters."""

    name: str
    """Of the parameter in the model, without `.weight` at its end."""
    count: int
    """Number of weights."""
    near_zero: float
    """Share of them that are near zero."""
    variation: float | None
    """Standard deviation of their sizes over the mean size; None where all are 0."""
    update_ratio: float | None
    """Norm of an update over the norm of the weights, the median of those that were measured; None where none was."""


def count_near_zero(weights: Any) -> int:
    """How many numbers of a NumPy array are near zero."""
    size = math.sqrt(float((weights.astype(float) ** 2).mean()))
    return int((abs(weights) < NEAR * size).sum())


def variation(weights: Any) -> float | None:
    """Standard deviation of the sizes of a NumPy array's numbers over their mean; None where all are 0."""
    sizes = abs(weights)
    return float(sizes.std() / sizes.mean()) if sizes.mean() > 0.0 else None


def of_layer(name: str, weights: Any, update_ratios: Sequence[float]) -> LayerWeights:
    """Of a NumPy array of finite numbers, and the ratios that were measured in its training."""
    return LayerWeights(
        name=name,
        count=int(weights.size),
        near_zero=count_near_zero(weights) / weights.size,
        variation=variation(weights),
        update_ratio=median(update_ratios) if update_ratios else None,
    )


def stored(layers: Iterable[LayerWeights]) -> list[list[Any]]:
    """As the row of a trial stores them: the fields in their order, with four digits."""
    return [[float(f"{one:.4g}") if isinstance(one, float) else one for one in astuple(layer)] for layer in layers]


def of(attributes: Mapping[str, Any]) -> tuple[LayerWeights, ...]:
    """The figures in a trial's user attributes."""
    found = attributes.get(ATTRIBUTE)
    return tuple(layer for item in found if (layer := _layer(item))) if isinstance(found, list) else ()


def _layer(item: Any) -> LayerWeights | None:
    """None where it is no such list: other programs may use an attribute of this name."""
    if not isinstance(item, list) or len(item) != 5:
        return None
    name, count, near_zero, *others = item
    known = isinstance(name, str) and type(count) is int and 0 < count < LARGEST and _is_figure(near_zero)
    if not known or not all(one is None or _is_figure(one) for one in others):
        return None
    spread, ratio = others
    return LayerWeights(name=name, count=count, near_zero=near_zero, variation=spread, update_ratio=ratio)


def _is_figure(value: Any) -> bool:
    return type(value) is float and math.isfinite(value)
