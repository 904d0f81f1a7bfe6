"""What trials are expected to score if they are trained again, by what similar ones scored.

A score is partly luck, and a search keeps the luckiest of many. A Gaussian process over the configurations of all
trials knows how much of a score similar trials confirm: what stands out alone counts as luck. It is that of the sampler
`gp`, which sees the order of the trials and no values, so that trials that were compared after different numbers of
epochs count, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.trial import FrozenTrial

from hpo.search.sampling.bayesian import BayesianSampler
from hpo.space import Parameter

FEWEST = 10
"""Trials below which nothing is expected: they say too little about each other."""


def expected_scores(
    parameters: Sequence[Parameter],
    trials: Sequence[FrozenTrial],
    *,
    maximize: bool,
    ranks: Mapping[int, int] | None = None,
) -> dict[int, float]:
    """By number, higher is better; empty where there are too few trials, or nothing is searched. Of many trials, those
    that the process does not see have none. `ranks`: the places of the trials by number, 0 for the best, where their
    values do not say them."""
    sampler = BayesianSampler(parameters, seed=0, maximize=maximize)
    if len(trials) < FEWEST or not sampler.names:
        return {}
    sampler.history.read(trials)
    if ranks is not None:
        sampler.history.rank(ranks)
    seen, process = sampler.fitted()
    numbers = sampler.history.numbers[seen].tolist()
    return {number: round(score, 6) + 0.0 for number, score in zip(numbers, process.seen.tolist(), strict=True)}
