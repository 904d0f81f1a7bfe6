"""What repeated trainings say, as it is stored and shown: records for every room. No decisions and no words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Interval:
    """A mean, or a difference of means, and the 95 % interval around it."""

    mean: float
    low: float
    high: float

    def times(self, sign: float) -> Interval:
        """In the unit of the objective from values with the sign that makes more better, or back. `sign`: -1 or 1."""
        ends = sorted((sign * self.low, sign * self.high))
        return Interval(mean=sign * self.mean, low=ends[0], high=ends[1])
