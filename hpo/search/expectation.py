"""What trials are expected to score when they are trained again, by what similar ones scored.

A score is partly luck, and a search keeps the luckiest of many. A Gaussian process over the configurations of all
trials knows how much of a score similar trials confirm: what stands out alone counts as luck. It sees the order of the
trials and no values, as the sampler `gp` does, so that trials that were compared after different numbers of epochs
count, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from optuna.trial import FrozenTrial

from hpo.search.sampling.bayesian import BayesianSampler, fitted, normal_scores
from hpo.search.sampling.gaussian_process import GaussianProcess
from hpo.space import Parameter

FEWEST = 10
"""Trials below which nothing is expected: they say too little about each other."""
MOST = 300
"""Most trials that are seen, the best ones: those that may lead are among them."""


def expected_scores(
    parameters: Sequence[Parameter], trials: Sequence[FrozenTrial], ranks: Mapping[int, int]
) -> dict[int, float]:
    """By number, higher is better; empty where there are too few trials, or nothing is searched. `trials`: the best
    first; `ranks`: their places by number, from 0, which trials may share."""
    sampler = BayesianSampler(parameters, seed=0, maximize=False)
    seen = trials[:MOST]
    if len(seen) < FEWEST or not sampler.names:
        return {}
    points = sampler.scaled(np.array([sampler.history.point(trial) for trial in seen]))
    scores = normal_scores(np.array([[float(ranks[trial.number])] for trial in seen]))
    process = GaussianProcess(sampler.features(points), scores, sampler.owner, fitted(len(seen)))
    return {trial.number: round(value, 6) + 0.0 for trial, value in zip(seen, process.seen.tolist(), strict=True)}
