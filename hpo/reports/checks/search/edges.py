"""Whether a trial's value lies at the edge of the range it was drawn from, and whether that range could be wider."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from hpo.reports.text import format_number
from hpo.studyfile.fields import Slot, searched_tables

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.trials import TrialRow

EDGE = 0.05
"""Share of a range, on its own (linear or logarithmic) scale, that counts as its edge."""

Side = Literal["lower", "upper"]


def edges(e: Evidence) -> list[str]:
    if e.winner is None:
        return []
    found = []
    for name in sorted(e.winner.params):
        side = edge_of(e.winner, name)
        if side is None:
            continue
        distribution = e.winner.distributions[name]
        others = [
            trial
            for trial in e.best_first[:10]
            if trial is not e.winner and trial.distributions.get(name) == distribution
        ]
        alike = sum(edge_of(trial, name) == side for trial in others)
        if is_coarse(e.winner, name) and (not others or alike < len(others) / 2):
            continue
        low, high = getattr(distribution, "low", None), getattr(distribution, "high", None)
        company = f" (so do {alike} of the next {len(others)} best)" if alike else ""
        found.append(
            f"The best {name} = {format_number(e.winner.params[name])} lies on the {side} edge of its range "
            f"{format_number(low)} to {format_number(high)}{company}: a wider range may hold a better one."
        )
    return found


def edge_of(trial: TrialRow, name: str) -> Side | None:
    """The edge of the range at which the trial's value lies; None if it lies at none, or the range cannot be extended
    beyond it."""
    from optuna.distributions import FloatDistribution, IntDistribution

    distribution = trial.distributions.get(name)
    if not isinstance(distribution, FloatDistribution | IntDistribution) or distribution.low >= distribution.high:
        return None
    scale = math.log if distribution.log else float
    low, high, value = scale(distribution.low), scale(distribution.high), scale(trial.params[name])
    reach = EDGE * (high - low)
    least, most = limits(name, distribution.low, whole=isinstance(distribution, IntDistribution))
    if value <= low + reach:
        below = math.inf if distribution.log and least <= 0 else low - scale(least)
        return "lower" if below > reach else None
    if value >= high - reach:
        return "upper" if most == math.inf or scale(most) - high > reach else None
    return None


def is_coarse(trial: TrialRow, name: str) -> bool:
    """Whether the range has so few values that many trials lie on an edge by chance."""
    from optuna.distributions import FloatDistribution, IntDistribution

    distribution = trial.distributions[name]
    if not isinstance(distribution, FloatDistribution | IntDistribution) or not distribution.step:
        return False
    return (distribution.high - distribution.low) / distribution.step + 1 < 1 / EDGE


def limits(name: str, low: float, *, whole: bool) -> tuple[float, float]:
    """The least and the largest value that a parameter can have, whose range starts at `low`.

    They are unknown for arguments of the user's own module: for these, a range that starts at 0 or above is assumed to
    be bounded by 0, one of whole numbers that starts at 1 or above by 1.
    """
    slot = _slot(name)
    if slot is None:
        least = 1.0 if whole and low >= 1 else 0.0
        return (least if low >= 0 else -math.inf), math.inf
    kinds = slot.schema.get("anyOf", [slot.schema])
    lows = [kind.get(key, -math.inf) for kind in kinds for key in ("minimum", "exclusiveMinimum")]
    highs = [kind.get(key, math.inf) for kind in kinds for key in ("maximum", "exclusiveMaximum")]
    return float(max(lows)), float(min(highs))


def _slot(name: str) -> Slot | None:
    """The description of a parameter's field; labels of choices in the parameter's name are skipped."""
    slots = dict(searched_tables())
    found: Slot | None = None
    for key in name.split("."):
        if key in slots:
            found = slots[key]
            slots = {} if found.shape is None else {k: s for v in found.shape.variants.values() for k, s in v.items()}
    return found if found is not None and found.shape is None else None
