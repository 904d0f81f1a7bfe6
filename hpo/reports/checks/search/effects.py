"""Whether searched parameters matter: all together, and each beside the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from hpo.endings import Ending
from hpo.printable import listed
from hpo.reports.health import CHANCE, Finding, failed, passed, unknown, warned
from hpo.reports.statistics.effects import (
    Floats,
    basis,
    chance_of_any,
    partial_chances,
    scores,
    sees_large,
)
from hpo.reports.text import format_number, plural

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.trials import TrialRow

NAMED = 10
"""Most parameters that a sentence names."""
FEWEST = 5
"""Finished trials below which nothing is tested."""


def nothing_matters(e: Evidence) -> Finding:
    """A permutation test of whether any searched parameter explains how trials rank."""
    groups = compared(e)
    names = varied(groups[0].trials)
    if not names or len(groups[0].trials) < FEWEST:
        return unknown(f"Fewer than {FEWEST} trials finished." if names else "No parameter was varied.")
    chance = min(1.0, len(groups) * min(_chance_of_any(group) for group in groups))
    said = f"(permutation test, p = {format_number(chance, 2)})"
    if chance < CHANCE:
        return passed(f"Parameters order the trials {said}.", chance)
    largest = groups[-1].trials
    widest = max(basis(design(largest, name)).shape[1] for name in names)
    if not sees_large(len(largest), widest, 0, CHANCE / len(names) / len(groups)):
        told = f"{len(largest)} trials are too few to tell whether any of {plural(len(names), 'parameter')} matters"
        return unknown(f"{told} {said}.")
    return failed(
        f"No searched parameter is seen to matter: they order {len(largest)} trials no better than chance {said}.",
        chance,
        way_out="Take the cheapest configuration, or search other parameters or wider ranges.",
    )


def _chance_of_any(group: Compared) -> float:
    return chance_of_any(group.score_N, [basis(design(group.trials, name)) for name in varied(group.trials)])


def dead_parameters(e: Evidence) -> Finding:
    """Parameters without visible effect beside all others (partial F tests of normal scores), where a large effect
    would have been seen."""
    groups = compared(e)
    names = varied(groups[0].trials)
    if len(names) < 2:
        return unknown("Fewer than two parameters were varied.")
    chances = dict.fromkeys(names, 1.0)
    designs: list[Floats] = []
    for group in groups:
        designs = [design(group.trials, name) for name in names]
        of_group = partial_chances(group.score_N, designs)
        chances = {name: min(chances[name], len(groups) * new) for name, new in zip(names, of_group, strict=True)}
    seen = [name for name in names if chances[name] < CHANCE]
    if not seen:
        return unknown("No single parameter is seen to matter, so that none stands back behind others.")
    trials = groups[-1].trials
    columns = {name: basis(of_last).shape[1] for name, of_last in zip(names, designs, strict=True)}
    rest, level = sum(columns.values()), CHANCE / len(groups)
    dead = [
        name
        for name in names
        if name not in seen
        and sees_large(sum(name in trial.params for trial in trials), columns[name], rest - columns[name], level)
    ]
    unsure = len(names) - len(seen) - len(dead)
    more = f" The trials are too few to judge {unsure} more." if unsure else ""
    if dead:
        return warned(
            f"{plural(len(dead), 'searched parameter')} of {len(names)} made no visible difference: "
            f"{listed(dead, NAMED)}.{more}",
            float(len(dead)),
            way_out="Fix them at their defaults, so that the trials search the others.",
            about=tuple(dead),
        )
    if unsure:
        return unknown(f"{len(seen)} of {len(names)} parameters are seen to matter.{more}")
    return passed(f"All {len(names)} searched parameters are seen to matter.", 0.0)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Compared:
    """Trials whose values can be compared."""

    trials: list[TrialRow]
    values: list[float]
    """More is better."""
    score_N: Floats
    """Normal scores of their ranks."""


def compared(e: Evidence) -> list[Compared]:
    """The finished trials by their values. Where trials were pruned, which leaves those that finished alike, also all
    trials by their curves at the first epoch at which some were."""
    found = [Compared(trials=list(e.best_first), values=list(e.values), score_N=scores(e.values))]
    cuts = [trial.ended.epoch or trial.epochs for trial in e.trials if trial.ended.why is Ending.PRUNED]
    if not cuts:
        return found
    at = min(cuts) - 1
    early = {number: curve[at] for number, curve in e.curves.items() if len(curve) > at and math.isfinite(curve[at])}
    trials = [trial for trial in e.trials if trial.number in early]
    if len(trials) > len(found[0].trials):
        values = [early[trial.number] for trial in trials]
        found.append(Compared(trials=trials, values=values, score_N=scores(values)))
    return found


def varied(trials: Sequence[TrialRow]) -> list[str]:
    """Parameters with different values among the trials that have them, by name."""
    first: dict[str, str] = {}
    found: set[str] = set()
    for trial in trials:
        for name, value in trial.params.items():
            if name not in found and first.setdefault(name, repr(value)) != repr(value):
                found.add(name)
    return sorted(found)


def design(trials: Sequence[TrialRow], name: str) -> Floats:
    """[n, c] Columns of a parameter: of numbers the place in the range, on its own scale, and its square; of choices
    one for each. Trials that do not have it get the mean of those that do, so that the choice on which it hangs counts
    by itself."""
    values = [trial.params.get(name) for trial in trials]
    present = np.array([value is not None for value in values])
    known: list[Any] = [value for value in values if value is not None]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        scaled = np.array(places([trial for trial in trials if name in trial.params], name))
        centred = scaled - scaled.mean()
        columns = np.column_stack([centred, centred**2])
    else:
        options = sorted({repr(value) for value in known})
        reprs = np.array([repr(value) for value in known])
        columns = (reprs[:, None] == np.array(options[1:])[None, :]).astype(np.float64)
    found = np.zeros((len(trials), columns.shape[1]))
    found[present] = columns - columns.mean(0)
    return found


def place(trial: TrialRow, name: str) -> float:
    """Where a number lies in the range that it was drawn from, on its scale: 0 to 1. Without a range, the number."""
    return places([trial], name)[0]


def places(trials: Sequence[TrialRow], name: str) -> list[float]:
    """The same of many trials that have the parameter."""
    scales: dict[int, tuple[Callable[[float], float], float, float]] = {}
    found = []
    for trial in trials:
        distribution = trial.distributions.get(name)
        if id(distribution) not in scales:  # most trials share one object
            scales[id(distribution)] = _scale(distribution)
        scale, low, width = scales[id(distribution)]
        found.append((scale(trial.params[name]) - low) / width)
    return found


def _scale(distribution: Any) -> tuple[Callable[[float], float], float, float]:
    """The scale of a range, its lower end there and its width."""
    low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
    if low is None or high is None or low >= high:
        return float, 0.0, 1.0
    scale = math.log if getattr(distribution, "log", False) else float
    return scale, scale(low), scale(high) - scale(low)
