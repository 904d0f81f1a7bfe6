"""Whether a trial's value lies at the edge of the range it was drawn from, and whether that range could be wider."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from hpo.reports.checks.search.effects import Compared, compared, design, place, places, varied
from hpo.reports.health import CHANCE, Finding, passed, unknown, warned
from hpo.reports.statistics.effects import Floats, chance_of_slope, clipped, partial_chances, scores
from hpo.reports.text import format_number, plural
from hpo.studyfile.fields import Slot, searched_tables

if TYPE_CHECKING:
    from hpo.reports.evidence import Evidence
    from hpo.reports.trials import TrialRow

EDGE = 0.05
"""Share of a range, on its own (linear or logarithmic) scale, that counts as its edge."""

Side = Literal["lower", "upper"]
SIDES: tuple[Side, Side] = ("lower", "upper")
FEWEST = 20
"""Finished trials from which on statistics decide."""
SLOPE = 0.05
"""Level of the test of a slope where an edge begins, of a parameter that matters. Of ranges whose best value lies
exactly there it warns up to twice as often, since raising the lowest values bends the fit a little."""
NAMED = 10
"""Most edges that are named."""


def edges(e: Evidence) -> Finding:
    """Ranges at whose edge the objective still rises, with room beyond.

    With `FEWEST` finished trials: where the parameter matters (partial F test) and the values still rise where the edge
    begins on whose side the winner lies, beside all other parameters (one-sided t test of the slope there, in a model
    of second order): then the best value lies on the edge or beyond, and both ask for a wider range. Or where the
    winner lies on the edge, with more of the ten best than chance brings there (binomial). Where trials pause, few
    finish, and those are alike: then all are compared at the epoch at which the first ones paused, also where so few
    finished. With fewer trials, where the winner lies on the edge.
    """
    if e.winner is None:
        return unknown("There is no winner.")
    open_edges = [(name, side) for name in sorted(e.winner.params) for side in SIDES if has_room(e.winner, name, side)]
    if not open_edges:
        return unknown("No range could be wider.")
    groups = compared(e)
    paused = any(trial.ended.paused for trial in e.trials)
    among = groups[-1] if paused or len(groups[0].trials) < FEWEST else groups[0]
    few, models = len(among.trials) < FEWEST, Models(among)
    rising = [one for one in open_edges if (_winner_at(e, *one) if few else _rises(e, *one, len(open_edges), models))]
    if not rising:
        return passed(f"The winner lies at none of {plural(len(open_edges), 'edge')} with room beyond.", 0.0)
    return warned(
        " ".join(_said(e, name, side) for name, side in rising[:NAMED]),
        float(len(rising)),
        way_out="A wider range may hold a better one.",
        about=tuple(dict.fromkeys(name for name, _ in rising)),
    )


def _said(e: Evidence, name: str, side: Side) -> str:
    assert e.winner is not None
    distribution = e.winner.distributions[name]
    low, high = (format_number(getattr(distribution, end, None)) for end in ("low", "high"))
    alike, others = _company(e, name, side)
    company = f" (so do {alike} of the next {others} best)" if alike else ""
    where = "lies on" if edge_of(e.winner, name) == side else "lies towards"
    return (
        f"The best {name} = {format_number(e.winner.params[name])} {where} the {side} edge of its range {low} to "
        f"{high}{company}."
    )


def _company(e: Evidence, name: str, side: Side) -> tuple[int, int]:
    """How many of the ten best trials beside the winner lie on this edge, and of how many that have this range."""
    assert e.winner is not None
    others = [
        trial
        for trial in e.best_first[:10]
        if trial is not e.winner and trial.distributions.get(name) == e.winner.distributions[name]
    ]
    return sum(edge_of(trial, name) == side for trial in others), len(others)


def _winner_at(e: Evidence, name: str, side: Side) -> bool:
    """Whether the winner lies on the edge; of a range of few values, half of the next best must, too."""
    assert e.winner is not None
    if edge_of(e.winner, name) != side:
        return False
    alike, others = _company(e, name, side)
    return not is_coarse(e.winner, name) or (others > 0 and alike >= others / 2)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Model:
    """Trials whose parameters were drawn alike, and what is fitted to them."""

    designs: dict[str, Floats]
    """Of the parameters that vary, by name."""
    matters: dict[str, float]
    """p values of their partial F tests."""
    values_N: Floats
    """More is better, without wild ones."""


class Models:
    """Models of the trials with the same ranges: most edges are tested with the same ones."""

    def __init__(self, among: Compared) -> None:
        self.among = among
        self.made: dict[tuple[int, ...], Model] = {}

    def of(self, name: str, drawn: Any) -> tuple[list[TrialRow], Model] | None:
        """The trials whose parameter was drawn from the range `drawn`, and their model; None for fewer than
        `FEWEST`."""
        kept = [at for at, trial in enumerate(self.among.trials) if trial.distributions.get(name) == drawn]
        trials, values = [self.among.trials[at] for at in kept], [self.among.values[at] for at in kept]
        key = tuple(trial.number for trial in trials)
        if len(key) < FEWEST:
            return None
        if key not in self.made:
            designs = {one: design(trials, one) for one in varied(trials)}
            chances = partial_chances(scores(values), list(designs.values())) if designs else []
            matters = dict(zip(designs, chances, strict=True))
            self.made[key] = Model(designs=designs, matters=matters, values_N=clipped(values))
        return trials, self.made[key]


def _rises(e: Evidence, name: str, side: Side, edges: int, models: Models) -> bool:
    """Whether one of the two rules finds the edge."""
    from scipy.special import bdtrc

    assert e.winner is not None
    alike, others = _company(e, name, side)
    level = CHANCE / edges
    if edge_of(e.winner, name) == side and alike and bdtrc(alike - 1, others, _share(e.winner, name)) < level:
        return True
    edge = 1.0 if side == "upper" else 0.0
    if abs(place(e.winner, name) - edge) > 0.5:
        return False
    found = models.of(name, e.winner.distributions[name])
    if found is None:
        return False
    trials, model = found
    if model.matters.get(name, 1.0) >= level:
        return False
    others_NC = np.hstack(
        [np.empty((len(trials), 0)), *(columns for one, columns in model.designs.items() if one != name)]
    )
    return chance_of_slope(model.values_N, np.array(places(trials, name)), others_NC, edge, EDGE) < SLOPE


def _share(trial: TrialRow, name: str) -> float:
    """Share of a range's values that lie on one of its edges."""
    distribution: Any = trial.distributions[name]
    step = getattr(distribution, "step", None)
    return max(EDGE, 1.0 / ((distribution.high - distribution.low) / step + 1)) if step else EDGE


def has_room(trial: TrialRow, name: str, side: Side) -> bool:
    """Whether the range could be extended by as much as its edge is wide."""
    from optuna.distributions import FloatDistribution, IntDistribution

    distribution = trial.distributions.get(name)
    if not isinstance(distribution, FloatDistribution | IntDistribution) or distribution.low >= distribution.high:
        return False
    scale = math.log if distribution.log else float
    low, high = scale(distribution.low), scale(distribution.high)
    reach = EDGE * (high - low)
    least, most = limits(name, distribution.low, whole=isinstance(distribution, IntDistribution))
    if side == "upper":
        return most == math.inf or scale(most) - high > reach
    return (math.inf if distribution.log and least <= 0 else low - scale(least)) > reach


def edge_of(trial: TrialRow, name: str) -> Side | None:
    """The edge of the range at which the trial's value lies; None if it lies at none, or the range cannot be extended
    beyond it."""
    for side, edge in zip(SIDES, (0.0, 1.0), strict=True):
        if has_room(trial, name, side) and abs(place(trial, name) - edge) <= EDGE + 1e-12:
            return side
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


@cache
def _slot(name: str) -> Slot | None:
    """The description of a parameter's field; labels of choices in the parameter's name are skipped."""
    slots = dict(searched_tables())
    found: Slot | None = None
    for key in name.split("."):
        if key in slots:
            found = slots[key]
            slots = {} if found.shape is None else {k: s for v in found.shape.variants.values() for k, s in v.items()}
    return found if found is not None and found.shape is None else None
