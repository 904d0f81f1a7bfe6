"""What the repeats of a study's leading configurations say of its winner."""

from __future__ import annotations

from dataclasses import dataclass

from hpo.conclusions import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmation:
    """What the repeats of the leading configurations say, in the unit of the objective."""

    winner: int
    """Number of the trial whose configuration has the best mean among those that were not dropped."""
    value: Interval
    """Of the winner, over its repeats."""
    spread: float
    """Standard deviation of the winner's own repeats."""
    repeats: int
    """Number of the winner's repeats."""
    configurations: int
    """Number of configurations that were repeated, the default one included."""
    leaders: tuple[int, ...]
    """Trials whose configurations were repeated and cannot be told from the winner's, the winner included, in the order
    of the ranking."""
    others: tuple[int, ...]
    """Finished trials whose configurations were not repeated, and that may be as good by their values in the search."""
    searched: float
    """The winner's value in the search."""
    optimism: float
    """How much better than its mean that was; negative where it was worse."""
    gain: Interval | None
    """How much better the winner is than the default configuration; None where that one has no mean, or is the
    winner."""
    default: int | None
    """The trial with the default configuration, or `seeds.DEFAULT_CONFIGURATION` where no trial has it; None where it
    was not repeated."""
    epochs: int
    """Epochs of all repeats."""
    seconds: float
    """Wall time of all repeats."""
