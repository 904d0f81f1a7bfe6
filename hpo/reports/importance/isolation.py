"""Isolation plots: the best value that a study found for each value of one parameter, all others optimised over.

The interval says how far the best could be another one: trials with this value are drawn again, with replacement, and
the best of each draw gets the noise of a score, where this is known. Only finished trials count, as only their values
are comparable without more ado.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.reports.importance.groups import groups_of

if TYPE_CHECKING:
    from hpo.reports.trials import TrialRow

MOST_GROUPS = 6
"""Ranges of a number's values."""
TRIALS_A_GROUP = 4
"""Fewest trials in a range, on average."""
RESAMPLES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class BestOfValue:
    """The best finished trial with one value, or one range of values."""

    label: str
    trials: int
    """Finished trials with it."""
    number: int | None
    """The best one; None without trials, and so are the rest."""
    best: float | None
    low: float | None
    high: float | None
    """Bounds of the 95 % interval of the best."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Isolation:
    """The best by value of one parameter."""

    name: str
    values: tuple[BestOfValue, ...]


def isolation(
    best_first: Sequence[TrialRow], name: str, *, minimized: bool, error: float, held: Mapping[str, Any]
) -> Isolation | None:
    """The best by value of a parameter; None where fewer than two values have finished trials. `best_first`: finished
    trials; `error`: standard error of a trial's value, 0 where it is unknown; `held`: parameters of which only trials
    near these values count, see `near`."""
    counted = [trial for trial in best_first if name in trial.params and near(trial, held)]
    if not counted:
        return None
    most = max(2, min(MOST_GROUPS, len(counted) // TRIALS_A_GROUP))
    groups = groups_of([trial.params[name] for trial in counted], counted[0].distributions[name], most)
    values = tuple(
        _best(group.label, [counted[place] for place in sorted(group.members)], minimized, error) for group in groups
    )
    return Isolation(name=name, values=values) if sum(value.trials > 0 for value in values) > 1 else None


def near(trial: TrialRow, held: Mapping[str, Any]) -> bool:
    """Whether a trial has these values: the same option; a number within a tenth of its range; or, like the trial that
    the values are of, not the parameter at all (None)."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    for name, value in held.items():
        if value is None or name not in trial.params:
            if value is not None or name in trial.params:
                return False
            continue
        drawn = trial.distributions[name]
        if isinstance(drawn, CategoricalDistribution) and repr(trial.params[name]) != repr(value):
            return False
        if isinstance(drawn, FloatDistribution | IntDistribution):
            scale = math.log if drawn.log else float
            if abs(scale(trial.params[name]) - scale(value)) > 0.1 * (scale(drawn.high) - scale(drawn.low)):
                return False
    return True


def _best(label: str, trials: Sequence[TrialRow], minimized: bool, error: float) -> BestOfValue:
    """The best of these trials, best first."""
    import numpy as np

    if not trials:
        return BestOfValue(label=label, trials=0, number=None, best=None, low=None, high=None)
    values = np.array([trial.value for trial in trials], float)
    random = np.random.default_rng(0)
    # The best of a draw from trials in their order is the one with the lowest place.
    places = random.integers(0, len(values), (RESAMPLES, len(values))).min(axis=1)
    low, high = np.quantile(values[places] + error * random.standard_normal(RESAMPLES), (0.025, 0.975))
    best = float(values[0])
    return BestOfValue(
        label=label,
        trials=len(trials),
        number=trials[0].number,
        best=best,
        low=min(best, float(low)),
        high=max(best, float(high)),
    )
