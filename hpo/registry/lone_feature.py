"""The record of the feature that predicts best alone, as the facts of a study have it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class LoneFeature:
    """What one feature alone predicts of the validation part; see `hpo.data.parts.lone_feature`."""

    name: str
    """Column of the feature."""
    metric: str
    """`accuracy` or `r2`."""
    score: float
    """Of predictions from this feature alone, on the validation part of the first fold."""
    constant: float
    """The same of a constant prediction."""
    features: int
    """Number of features that were tried; this one had the highest score."""
    examples: int
    """Validation examples that the score was measured on."""
