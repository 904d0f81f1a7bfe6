"""Starts: configurations that a study tries before its sampler draws any, and where each comes from.

They are decided when the study is registered, and are among its facts from then on: what happens to another study that
some were taken from changes nothing. Which trial has which start is noted with the trial.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

ATTRIBUTE = "start"
"""User attribute of a trial that has a start: where that comes from, in words."""
PLACE = "start"
"""System attribute of the trial: the index of its start."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """Values of some or all parameters of one trial; the sampler draws the others."""

    source: Literal["default", "file", "study", "known"]
    """The default configuration, the study file, another study, or the list of what does well on data of many kinds."""
    values: Mapping[str, Any]
    """By the parameter's name."""
    study: str | None = None
    """Name of the other study."""
    trial: int | None = None
    """Number of its trial that had these values."""

    def __str__(self) -> str:
        if self.source == "study":
            return f"trial {self.trial} of {self.study}"
        return {"default": "the default configuration", "file": "the study file", "known": "known starts"}[self.source]


def in_words(starts: Iterable[Start]) -> str:
    """`the default configuration, 2 of the study file, 5 of digits, 4 known starts`; an empty text where there are
    none."""
    counts = Counter((start.source, start.study) for start in starts)
    words = {
        "default": "the default configuration",
        "file": "{} of the study file",
        "study": "{} of {}",
        "known": "{} known starts",
    }
    return ", ".join(words[source].format(count, study) for (source, study), count in counts.items())
