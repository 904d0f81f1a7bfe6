"""TPE for many trials: the trials are read once and one model is fitted for a batch; then each trial is drawn from it.

Parameters that appear together (those of one condition) are modelled together, as Optuna's `group=True` does. A trial's
candidates are drawn from the density of the best trials; the candidate with the highest ratio of that density to the
density of the other trials is taken. Running trials count among the others, as do earlier trials of the batch, so that
a draw keeps away from them. Candidates come from a generator for each trial and group, seeded by (study seed, trial
number, group): asking once for three trials gives the same as asking three times for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe.sampler import default_gamma
from optuna.trial import FrozenTrial

from hpo.ranking import Direction
from hpo.search.sampling.history import MOST, History
from hpo.search.sampling.pareto import ParetoHistory
from hpo.search.sampling.parzen import Domain, Floats, beside, fit
from hpo.seeds import tpe_seed

CANDIDATES = 24
"""Candidates drawn for each trial, as in Optuna."""

Group = Mapping[str, BaseDistribution]
"""Parameters that appear together."""


class GroupModel:
    """The densities of one group, fitted once for a batch, and the batch's candidates."""

    def __init__(self, domain: Domain, history: History, uniform: Floats) -> None:
        """`uniform` has a row of numbers for each candidate: [trials, CANDIDATES, 1 + parameters]."""
        self.domain = domain
        best = default_gamma(len(history))
        order = history.order(best)
        good, rest = (
            fit(domain, seen.points, seen.weights)
            for seen in (
                history.observed(domain.names, order[:best]),
                history.observed(domain.names, order[best:], most=MOST),
            )
        )
        self.rest = rest
        points = good.sample(uniform.reshape(-1, uniform.shape[-1]))
        shape = uniform.shape[:2]
        self.candidates = points.reshape(*shape, -1)
        self.good = np.log(good.sums(points)).reshape(shape)
        self.others = rest.sums(points).reshape(shape)

    def pick(self, place: int, running: Floats) -> Floats:
        """The best candidate of the trial at an index of the batch. `running`: [trials, parameters]."""
        candidates, others = self.candidates[place], self.others[place]
        if len(running):
            others = others + beside(self.rest, running).sums(candidates)
        found: Floats = candidates[np.argmax(self.good[place] - np.log(others))]
        return found


class TpeSampler:
    """One study's model-based draws."""

    def __init__(
        self, groups: Sequence[Group], *, seed: int, maximize: bool = False, several: Sequence[Direction] = ()
    ) -> None:
        """`several`: the directions of the objectives, where there are several; then `maximize` says nothing."""
        self.seed = seed
        self.domains = [Domain({n: d for n, d in group.items() if not d.single()}) for group in groups]
        self.group_of = {name: index for index, domain in enumerate(self.domains) for name in domain.names}
        space = {name: d for group in groups for name, d in group.items() if name in self.group_of}
        self.several = several
        self.history = ParetoHistory(space, several) if several else History(space, maximize=maximize)

    def batch(
        self,
        observed: Sequence[FrozenTrial],
        running: Sequence[FrozenTrial],
        numbers: Sequence[int],
        ranks: Mapping[int, int] | None = None,
    ) -> Batch:
        """A batch to draw the trials of these numbers, in this order, by what is known now.

        `observed` holds the trials to learn from, `running` others that have (some) parameters already. `ranks`: of
        all that were ever observed by number, 0 for the best; None: they rank as finished and pruned trials.
        """
        if self.several:  # a trial that had paused may have finished since, and no ranks are given
            self.history = ParetoHistory(self.history.space, self.several)
        self.history.read(observed)
        if ranks is not None:
            self.history.rank(ranks)
        return Batch(self, [self.history.point(trial) for trial in running], numbers)

    def uniform(self, number: int, group: int) -> Floats:
        """The random numbers of one trial for one group."""
        shape = (CANDIDATES, 1 + len(self.domains[group].names))
        return np.random.default_rng(tpe_seed(self.seed, number, group)).random(shape)


class Batch:
    """Draws for some trials. Models are fitted when the first trial asks for one of their parameters."""

    def __init__(self, tpe: TpeSampler, running: Sequence[Sequence[float]], numbers: Sequence[int]) -> None:
        self.tpe = tpe
        self.numbers = list(numbers)
        self.running = np.array(running, dtype=np.float64).reshape(len(running), len(tpe.history.space))
        self.models: dict[int, GroupModel] = {}

    def group(self, number: int, name: str) -> dict[str, Any]:
        """Values of all parameters that are drawn together with this one."""
        tpe, space = self.tpe, self.tpe.history.space
        index, place = tpe.group_of[name], self.numbers.index(number)
        if index not in self.models:
            uniform = np.stack([tpe.uniform(n, index) for n in self.numbers])
            self.models[index] = GroupModel(tpe.domains[index], tpe.history, uniform)
        names = tpe.domains[index].names
        running = self.running[:, [tpe.history.columns[n] for n in names]]
        point = self.models[index].pick(place, running[~np.isnan(running).any(axis=1)])
        return {name: space[name].to_external_repr(value) for name, value in zip(names, point.tolist(), strict=True)}

    def drawn(self, params: Mapping[str, Any]) -> None:
        """Add a drawn trial to the running ones, so that later trials of the batch keep away from it."""
        space = self.tpe.history.space
        point = [d.to_internal_repr(params[name]) if name in params else np.nan for name, d in space.items()]
        self.running = np.vstack((self.running, point))
