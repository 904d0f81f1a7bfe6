"""The record of a baseline, as the facts of a study have it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hpo.database.decoding import Score


@dataclass(frozen=True, kw_only=True, slots=True)
class Baseline:
    """What a simple model scores on the same parts as the trials."""

    name: str
    """See `hpo.baselines.models.MODELS`; other versions may have others."""
    validation: Mapping[str, Score] = field(default_factory=dict)
    """Metrics on the validation part, the mean over the folds; None where one is undefined. Empty where the baseline
    was left out, or failed."""
    test: Mapping[str, Score] = field(default_factory=dict)
    """The same on the test part; empty without a test part."""
    note: str = ""
    """What a reader should know, e.g. why it was left out."""
    seconds: float | None = None
    """Time that fitting and scoring took."""
