"""Values of trials over folds and repeats: how much of their spread is the configuration and how much is luck. Pure
functions of a matrix of values.

n: trials; r: replicas (folds and repeats).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hpo.reports.health import SURE

Floats = NDArray[np.float64]

HALF = 1.0
"""Variance of the configurations as a multiple of that of a replica's luck, where each is half of the whole."""
DRAWS = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class Shares:
    """A two-way analysis of variance of trials and replicas without repetition."""

    luck: float
    """Variance of a value that neither its trial nor its replica explains: what a replica's luck adds."""
    share: float
    """Share of the variance of a single value, of one replica, that the trials' configurations explain; 0 to 1."""
    chance: float
    """Probability of as much difference between trials where none has any effect (F test)."""
    sees_half: bool
    """Whether the test finds with probability `SURE` that configurations make half of the variance."""


def shares(values_NR: Floats, level: float) -> Shares:
    """The analysis of at least 3 trials of at least 2 replicas. What is common to all trials of a replica, e.g. how
    hard a fold is, counts for neither side."""
    from scipy.special import fdtrc, fdtri

    trials, replicas = values_NR.shape
    means_N = values_NR.mean(1)
    left_NR = residuals(values_NR)
    freedom, rest = trials - 1, (trials - 1) * (replicas - 1)
    luck = float((left_NR**2).sum()) / rest
    between = replicas * float(means_N.var(ddof=1))
    if luck == 0.0:
        return Shares(luck=0.0, share=float(between > 0), chance=float(between == 0.0), sees_half=True)
    of_trials = max(0.0, (between - luck) / replicas)
    least = float(fdtri(freedom, rest, 1.0 - level))
    return Shares(
        luck=luck,
        share=of_trials / (of_trials + luck),
        chance=float(fdtrc(freedom, rest, between / luck)),
        sees_half=bool(fdtrc(freedom, rest, least / (1.0 + replicas * HALF)) >= SURE),
    )


def residuals(values_NR: Floats) -> Floats:
    """[n, r] What neither the trial nor the replica explains."""
    return np.asarray(
        values_NR - values_NR.mean(1, keepdims=True) - values_NR.mean(0, keepdims=True) + values_NR.mean(), np.float64
    )


def chance_of_spread(values_NR: Floats, row: int) -> float:
    """Probability that luck alone spreads the replicas of the trial in this row so much more than those of the others
    (F test of the variances of residuals)."""
    from scipy.special import fdtrc

    trials, replicas = values_NR.shape
    others = np.delete(values_NR, row, axis=0)
    own_R = values_NR[row] - others.mean(0)
    own = float(own_R.var(ddof=1))
    rest = (trials - 2) * (replicas - 1)
    pooled = float((residuals(others) ** 2).sum()) / rest
    # The means of the others' replicas, from which the row is measured, vary too.
    pooled *= 1.0 + 1.0 / (trials - 1)
    return 1.0 if own == 0.0 else float(fdtrc(replicas - 1, rest, own / pooled)) if pooled else 0.0


def optimism(means_N: Floats, error: float) -> float:
    """How much better the best of these values is than the same configuration would be again, on average: values are
    drawn around them with this standard error, and the best of each draw is compared with what it was drawn around
    (parametric bootstrap; where the true values differ less than those measured, the result is too small)."""
    drawn_BN = means_N + error * np.random.default_rng(0).standard_normal((DRAWS, len(means_N)))
    best_B = drawn_BN.argmax(1)
    return float((drawn_BN[np.arange(DRAWS), best_B] - means_N[best_B]).mean())
