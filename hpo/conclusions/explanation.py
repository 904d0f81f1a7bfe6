"""What an explanation says: how the default configuration becomes the winner, one change at a time, and which changes
it can do without. All values are in the unit of the objective; gains and losses are positive where more is better, or
worse, whichever way the objective goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hpo.conclusions import Interval

Verdict = Literal["mattered", "set back", "uncertain", "untried"]
"""Of a change that was set back to the default: without it, the configuration is worse beyond noise; it is not, so it
stays at the default; it may be, as its repeats vary too much, or as it is worse than the winner only together with what
was set back before; it was not tried. It has the winner's value in all cases but the second."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Switch:
    """A parameter that the winner has with another value than the default configuration."""

    name: str
    """Dotted path."""
    default: Any
    winner: Any
    along: Mapping[str, Any]
    """Parameters that only the winner's value brings along, with their values."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measured:
    """The repeats of one configuration."""

    value: Interval
    """The mean over its repeats."""
    lost: int
    """Repeats that diverged or failed. Each counts as the worst value that any repeat of the explanation has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One step from the default configuration to the winner."""

    changes: tuple[str, ...]
    """The parameters that are switched: one, or the least important ones together where the budget did not pay for a
    step of each."""
    measured: Measured
    """After the step."""
    gain: Interval
    """How much better than before the step."""
    verdict: Verdict
    """What setting these parameters back to the default does to the winner, without those set back before."""
    loss: Interval | None
    """How much worse than the winner that is; None where it was not tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """Two steps of the largest gain, made alone and together from the default configuration."""

    changes: tuple[tuple[str, ...], tuple[str, ...]]
    alone: tuple[Interval, Interval]
    """Gain of each alone."""
    both: Interval
    """Gain of both together."""
    interaction: Interval
    """Gain of both together beyond the sum of the two."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Simpler:
    """The configuration with the fewest changes that is not worse than the winner beyond noise."""

    changes: tuple[str, ...]
    """What it changes from the default configuration; as many as the winner where nothing is set back."""
    params: Mapping[str, Any]
    """Its searched parameters."""
    measured: Measured
    loss: Interval
    """How much worse than the winner it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explanation:
    """From the default configuration to the winner, by experiment."""

    winner: int
    """Number of the trial."""
    switches: tuple[Switch, ...]
    """In the order of the study's importances, by which the steps were tried."""
    tried: int
    """Changes that were tried for each step, the most important ones; 1: the order is that of the importances."""
    seeds: int
    """Repeats of each configuration; repeats of the same number have the same seeds in all of them."""
    default: Measured
    steps: tuple[Step, ...]
    gain: Interval
    """Of all steps together."""
    pairs: tuple[Pair, ...]
    """The strongest interaction first."""
    simpler: Simpler
    length: int
    """Epochs of the longest training."""
    trainings: int
    epochs: int
    """Epochs of all trainings."""
    searched: int
    """Epochs of the search."""
    seconds: float
    """Time of their lanes."""
