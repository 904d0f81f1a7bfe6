"""Whether searched parameters explain how trials rank: F tests of each parameter, a permutation test of all together,
and the slope at the edges of ranges. Pure functions of a design matrix and ranks; no trials, no words.

n: trials; c: columns of a design; p: parameters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hpo.reports.health import SURE

Floats = NDArray[np.float64]

LARGE = 0.35
"""Cohen's f² of a large effect: a parameter that explains 26 % of the variance that it and chance have together."""
PERMUTATIONS = 999


def ranks(values: Sequence[float]) -> Floats:
    """[n] Ranks from 1, the mean of the ranks of equal values."""
    _, place, counts = np.unique(np.asarray(values, np.float64), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[place], np.float64)


def scores(values: Sequence[float]) -> Floats:
    """[n] Normal scores: the deviates of a normal distribution at the ranks (van der Waerden 1952). As robust as ranks,
    and they leave values that are about normal as they are."""
    from scipy.special import ndtri

    return np.asarray(ndtri(ranks(values) / (len(values) + 1)), np.float64)


def clipped(values: Sequence[float]) -> Floats:
    """[n] The values, those below Tukey's inner fence raised to it, so that trials that went wrong do not bend a
    fit."""
    found = np.asarray(values, np.float64)
    first, third = np.quantile(found, [0.25, 0.75])
    return np.asarray(np.maximum(found, first - 1.5 * (third - first)), np.float64)


def basis(design_NC: Floats) -> Floats:
    """[n, rank] Orthonormal columns that span those of the design with their means taken out."""
    centred = design_NC - design_NC.mean(0)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    kept = scale > 1e-9 * max(1.0, *scale.tolist())
    return np.asarray(left[:, kept], np.float64)


def marginal_chances(y_BN: Floats, bases: Sequence[Floats]) -> Floats:
    """[B, p] p values of the F tests of each parameter alone, for B rows of values."""
    from scipy.special import fdtrc

    centred = y_BN - y_BN.mean(1, keepdims=True)
    total_B = (centred**2).sum(1)
    found = np.ones((len(y_BN), len(bases)))
    squares_BC = (centred @ np.hstack(bases)) ** 2  # one product for all takes less time
    ends = np.cumsum([columns_NC.shape[1] for columns_NC in bases])
    for at, end in enumerate(ends.tolist()):
        freedom = bases[at].shape[1]
        rest = y_BN.shape[1] - 1 - freedom
        if not freedom or rest < 1:
            continue
        explained_B = squares_BC[:, end - freedom : end].sum(1)
        left_B = np.maximum(total_B - explained_B, 1e-12 * np.maximum(total_B, 1e-300))
        found[:, at] = fdtrc(freedom, rest, explained_B / freedom / (left_B / rest))
    return found


def chance_of_any(y_N: Floats, bases: Sequence[Floats], permutations: int = PERMUTATIONS) -> float:
    """Probability that the surest of the parameters explains as much when the values are dealt out to the trials at
    random: a permutation test of the least p value (Westfall and Young 1993). Exact where what was drawn does not
    depend on the values of other trials."""
    draw = np.random.default_rng(0)
    dealt_BN = draw.permuted(np.broadcast_to(y_N, (permutations, len(y_N))), axis=1)
    seen = marginal_chances(y_N[None], bases).min()
    return float((1 + (marginal_chances(dealt_BN, bases).min(1) <= seen * (1 + 1e-9)).sum()) / (permutations + 1))


def partial_chances(y_N: Floats, designs: Sequence[Floats]) -> list[float]:
    """p values of the F tests of each parameter beside all others: what the model of all explains and the model
    without it does not."""
    from scipy.special import fdtrc

    y = y_N - y_N.mean()
    whole = basis(np.hstack(designs))
    rest = len(y) - 1 - whole.shape[1]
    if rest < 1:
        return [1.0] * len(designs)
    explained = float(((y @ whole) ** 2).sum())
    noise = max(float(y @ y) - explained, 1e-12 * float(y @ y)) / rest
    found = []
    for at in range(len(designs)):
        others = [design for place, design in enumerate(designs) if place != at]
        without = basis(np.hstack(others)) if others else np.empty((len(y), 0))
        freedom = whole.shape[1] - without.shape[1]
        gain = explained - float(((y @ without) ** 2).sum())
        found.append(float(fdtrc(freedom, rest, gain / freedom / noise)) if freedom else 1.0)
    return found


def sees_large(trials: int, freedom: int, others: int, level: float) -> bool:
    """Whether an F test at this level finds a large effect with probability `SURE`, among so many trials; `others`:
    columns of the model beside its `freedom`."""
    from scipy.special import fdtri, ncfdtr

    rest = trials - 1 - freedom - others
    if rest < 1 or freedom < 1:
        return False
    least = float(fdtri(freedom, rest, 1.0 - level))
    return 1.0 - float(ncfdtr(freedom, rest, LARGE * trials, least)) >= SURE


def chance_of_slope(y_N: Floats, x_N: Floats, others_NC: Floats, edge: float, inside: float = 0.0) -> float:
    """One-sided p value of a rise of y towards the outside, in a model of x and its square beside `others_NC` (least
    squares). x lies in 0 to 1; `edge` is 0 or 1, and the rise is that at a distance of `inside` before it. 1.0 where
    the model is too large, or falls there.

    A convex fit may rise at both edges; only the edge with the higher fit counts.
    """
    from scipy.special import stdtr

    design = np.column_stack([np.ones_like(x_N), x_N, x_N**2, others_NC])
    solution, _, rank, _ = np.linalg.lstsq(design, y_N, rcond=None)
    rest = len(y_N) - int(rank)
    if rest < 5:
        return 1.0
    left = y_N - design @ solution
    covariance = float(left @ left) / rest * np.linalg.pinv(design.T @ design)
    outward = 1.0 if edge == 1.0 else -1.0
    weights = np.zeros(design.shape[1])
    weights[1], weights[2] = outward, outward * 2.0 * (edge - outward * inside)
    slope, error = float(weights @ solution), math.sqrt(max(0.0, float(weights @ covariance @ weights)))
    lead = outward * (solution[1] + solution[2])  # of the fit at this edge over that at the other
    if slope <= 0.0 or lead <= 0.0 or error == 0.0:
        return 1.0
    return float(stdtr(rest, -slope / error))
