"""Figures of a model's weights, layer by layer: how large the updates were beside them, and of a finished training how
many are near zero at its end and how much their sizes vary."""

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
    update_ratio: float | None
    """Norm of an update over the norm of the weights, the median of those that were measured; None where none was."""
    near_zero: float | None
    """Share of weights that are near zero; None where the training did not finish."""
    variation: float | None
    """Standard deviation of their sizes over the mean size; None where all are 0 or the training did not finish."""


def count_near_zero(weights: Any) -> int:
    """How many numbers of a NumPy array are near zero."""
    size = math.sqrt(float((weights.astype(float) ** 2).mean()))
    return int((abs(weights) <= NEAR * size).sum())


def variation(weights: Any) -> float | None:
    """Standard deviation of the sizes of a NumPy array's numbers over their mean; None where all are 0."""
    sizes = abs(weights.astype(float))
    return float(sizes.std() / sizes.mean()) if sizes.mean() > 0.0 else None


def of_layer(name: str, weights: Any, update_ratios: Sequence[float], *, looked_at: bool) -> LayerWeights:
    """Of a NumPy array, and the ratios that were measured in its training. `looked_at`: the numbers are finite and
    those of the end."""
    return LayerWeights(
        name=name,
        count=int(weights.size),
        update_ratio=median(update_ratios) if update_ratios else None,
        near_zero=count_near_zero(weights) / weights.size if looked_at else None,
        variation=variation(weights) if looked_at else None,
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
    name, count, *figures = item
    if not (isinstance(name, str) and type(count) is int and 0 < count < LARGEST and all(map(_is_figure, figures))):
        return None
    ratio, near_zero, spread = figures
    return LayerWeights(name=name, count=count, update_ratio=ratio, near_zero=near_zero, variation=spread)


def _is_figure(value: Any) -> bool:
    return value is None or (type(value) is float and math.isfinite(value))
