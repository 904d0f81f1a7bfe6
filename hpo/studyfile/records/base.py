"""What all records of a study file share: their base, and the kinds of numbers that they hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Probability = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A probability of dropping; 1 would drop everything."""
Positive = Annotated[float, Field(gt=0.0)]
NonNegative = Annotated[float, Field(ge=0.0)]
Decay = Annotated[float, Field(ge=0.0, lt=1.0)]
"""A decay factor of an exponential average, e.g. momentum or beta."""
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
WholeNumber = Annotated[int, Field(ge=0, le=1_000_000_000)]
Width = Annotated[int, Field(ge=1, le=65_536)]
"""Units or channels of one layer; the bound refuses typing errors that would exhaust the memory."""
NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class Record(BaseModel):
    """Base of all records: immutable, strict about types, closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True, defer_build=True)
