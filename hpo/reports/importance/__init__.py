"""Importance of the searched parameters for whether a trial is among the best. No plotting.

PED-ANOVA (Watanabe et al., IJCAI 2023) computes how much of the variance of "is among the best" one parameter explains.
Here its densities are replaced by groups of values, which makes it a one-way analysis of variance. The variance that as
many random groups would explain is subtracted (epsilon squared, Kelley 1935). Otherwise a parameter that few trials
have would look important by chance.

A conditional parameter is measured among the trials that have it, so it gets no credit for the choice that activates
it. The variance that it explains there is expressed as a part of the variance over all trials, so that all parameters
have the same unit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hpo.endings import Ending
from hpo.reports.text import format_share, plural

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

    from hpo.reports.trials import TrialRow

FEWEST_FINISHED = 10
"""Finished trials below which no importance is stated."""
FEWEST_BEST = 5
BEST_SHARE = 0.2
"""Size of the group of best trials as a share of all; at least FEWEST_BEST, at most half of all."""
MOST_GROUPS = 5
TRIALS_A_GROUP = 8
"""Trials in each group of a range's values; the values are divided into 3 to MOST_GROUPS groups of equal size."""
CHANCE = 0.2
"""Largest accepted probability that importances are stated although no parameter has an effect."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Importances:
    """Shares of importance, largest first, and how to read them."""

    shares: tuple[tuple[str, float], ...]
    """(parameter, share); the shares add up to 1. Empty where importances cannot be stated."""
    note: str
    """How to read the shares, or why there are none."""
    best: int = 0
    """Trials in the group of the best; 0 where no groups were compared."""
    others: int = 0
    """Trials that the best ones are compared with."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """The variance of "is among the best" that one parameter explains."""

    amount: float
    """Explained sum of squares minus what chance explains: 0 on average for a parameter without effect, and possibly
    negative."""
    chance: float
    """Probability that a parameter without effect explains as much or more (F test)."""


def compute_importances(trials: Sequence[TrialRow], minimized: bool) -> Importances:
    """Importance for belonging to the best trials, among all trials that finished or were pruned.

    A pruned trial is evidence, too. Its last value is not comparable with that of a finished trial, so it is never
    among the best. A trial that ended because a budget was spent is left out.
    """
    finished = [t for t in trials if t.state == "COMPLETE" and t.value is not None and math.isfinite(t.value)]
    pruned = [t for t in trials if t.state == "PRUNED" and t.params and t.ended.why is not Ending.BUDGET]
    if len(finished) < FEWEST_FINISHED:
        return _untold(f"they need at least {FEWEST_FINISHED} finished trials, and this study has {len(finished)}")
    considered = [*finished, *pruned]
    names = sorted({name for trial in considered for name in trial.params})
    varied = [name for name in names if len({repr(trial.params.get(name)) for trial in considered}) > 1]
    if len(varied) < 2:
        return _untold("they compare parameters, and fewer than two were varied")
    values = sorted((trial.value for trial in finished if trial.value is not None), reverse=not minimized)
    if values[0] == values[-1]:
        return _untold("all finished trials have the same value, so nothing sets them apart")
    best = best_group(values, len(considered))
    if best is None:
        tied = values.count(values[0])
        return _untold(f"{tied} of {len(considered)} trials share the best value, so there is no group of best trials")
    last = values[best - 1]
    hits = [t.state == "COMPLETE" and t.value is not None and (t.value <= last if minimized else t.value >= last)
            for t in considered]  # fmt: skip
    assert sum(hits) == best
    found = {name: explained_variance(considered, hits, name) for name in names}
    amounts = {name: max(0.0, part.amount) if part else 0.0 for name, part in found.items()}
    surest = min((part.chance for part in found.values() if part and part.amount > 0.0), default=1.0)
    sizes = f"the {plural(best, 'best trial')} from the other {len(considered) - best} that finished or were pruned"
    chance = surest * len(varied)  # of any parameter's (Bonferroni)
    if chance > CHANCE:
        return _untold(f"no parameter sets {sizes} apart by more than chance would; more trials may tell")
    total = sum(amounts.values())
    shares = {name: amount / total for name, amount in amounts.items()}
    return Importances(
        shares=tuple(sorted(shares.items(), key=lambda item: (-item[1], item[0]))),
        note=(
            f"Share of what sets {sizes} apart, beyond what chance would. A parameter that only some trials have is "
            f"measured among these. A hint, not a proof: where nothing matters, {format_share(chance)} of studies "
            "would show as much; a parameter the sampler hardly varied looks unimportant; and what parameters do "
            "together counts for none of them."
        ),
        best=best,
        others=len(considered) - best,
    )


def _untold(reason: str) -> Importances:
    return Importances(shares=(), note=f"Importances cannot be told: {reason}.")


def best_group(values: Sequence[float], considered: int) -> int | None:
    """The size of the group of best trials, from the finished trials' values, best first. Equal values are in one
    group.

    None if no such group has at least FEWEST_BEST members and at most half of the trials considered.
    """
    wanted = max(FEWEST_BEST, math.ceil(BEST_SHARE * considered))
    borders = [size for size in range(1, len(values)) if values[size] != values[size - 1]]
    allowed = [size for size in borders if FEWEST_BEST <= size <= considered / 2]
    return min(allowed, key=lambda size: (abs(size - wanted), size), default=None)


def explained_variance(trials: Sequence[TrialRow], hits: Sequence[bool], name: str) -> Explained | None:
    """The variance that a parameter explains among the trials that have it. If it was drawn from several ranges, the
    variance is computed within each and summed.

    None if it explains nothing: it did not vary, or all or none of the trials that have it are among the best.
    """
    from scipy.special import fdtrc  # scipy.stats takes ten times as long to import

    between = within = 0.0
    groups = freedom = 0
    owners: dict[BaseDistribution, list[tuple[Any, bool]]] = {}
    for trial, hit in zip(trials, hits, strict=True):
        if name in trial.params:
            owners.setdefault(trial.distributions[name], []).append((trial.params[name], hit))
    for drawn in owners.values():
        parts = grouped([value for value, _ in drawn], [hit for _, hit in drawn])
        rate = sum(hit for _, hit in drawn) / len(drawn)
        if len(parts) < 2 or len(drawn) <= len(parts):
            continue
        means = [sum(part) / len(part) for part in parts]
        between += sum(len(part) * (mean - rate) ** 2 for part, mean in zip(parts, means, strict=True))
        within += sum(len(part) * mean * (1.0 - mean) for part, mean in zip(parts, means, strict=True))
        groups += len(parts) - 1
        freedom += len(drawn) - len(parts)
    if between + within == 0.0:
        return None
    noise = within / freedom
    ratio = between / groups / noise if noise else math.inf
    return Explained(amount=between - groups * noise, chance=float(fdtrc(groups, freedom, ratio)))


def grouped(values: Sequence[Any], hits: Sequence[bool]) -> list[list[bool]]:
    """The trials' hits, grouped by their values: each category is a group, numbers are in groups of about equal
    size."""
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    wanted = min(MOST_GROUPS, max(3, len(values) // TRIALS_A_GROUP))
    if not numeric or len(set(values)) <= wanted:
        options: dict[Any, list[bool]] = {}
        for value, hit in zip(values, hits, strict=True):
            options.setdefault(repr(value), []).append(hit)
        return list(options.values())
    ordered = sorted(values)
    edges = sorted({ordered[round(part * len(ordered) / wanted)] for part in range(1, wanted)})
    groups: list[list[bool]] = [[] for _ in range(len(edges) + 1)]
    for value, hit in zip(values, hits, strict=True):
        groups[sum(value >= edge for edge in edges)].append(hit)
    return [group for group in groups if group]
