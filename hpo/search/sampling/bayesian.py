"""Bayesian optimization for many trials: one Gaussian process is fitted for a batch, and each trial gets the candidate
that promises the greatest expected improvement.

The process sees the order of the trials, not their values: the k-th best of n has the normal score of its rank. So an
outlier has no more weight than its place, and trials that were compared after different numbers of epochs fit into one
model. A parameter that a trial does not have stands in the middle of its range, a category that it does not have at
none of its choices.

Running trials, and earlier ones of the batch, are taken as observed at their expected values, so that a draw keeps away
from them. Candidates come from a generator for each trial: asking once for three trials gives the same as asking three
times for one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial
from scipy.special import ndtr, ndtri

from hpo.search.sampling.gaussian_process import GaussianProcess, Sight
from hpo.search.sampling.history import History
from hpo.search.sampling.parzen import Domain, Floats
from hpo.seeds import tpe_seed
from hpo.space import Parameter

CANDIDATES = 256
"""Candidates of each trial: a half anywhere in the space, a half near the best trials."""
FAR, NEAR, MOVED, CHANGED = 0.12, 0.01, 0.6, 0.15
"""A candidate near one of the best trials: deviation of a number that is moved far, as a share of its range, and of the
others; how often a number is moved far; how often a category is drawn anew."""
APART = 0.7
"""Coordinate of a category that a trial has; the other ones are 0."""
MOST = 300
"""Most trials that the process sees: the best half of them, and the newest others."""
FITTED = 120
"""Most trials by which the process finds its lengths."""


class BayesianSampler:
    """One study's model-based draws."""

    def __init__(self, parameters: Sequence[Parameter], *, seed: int, maximize: bool) -> None:
        self.seed = seed
        self.space = {p.name: p.distribution for p in parameters if not p.distribution.single()}
        self.names = tuple(self.space)
        self.group_of = dict.fromkeys(self.names, 0)
        self.conditions = [p.conditions for p in parameters if p.name in self.space]
        self.domain = Domain(self.space)
        self.history = History(self.space, maximize=maximize)
        sizes = dict(self.domain.categories)
        self.owner = np.repeat(np.arange(len(self.names)), [sizes.get(i, 1) for i in range(len(self.names))])

    def batch(
        self,
        observed: Sequence[FrozenTrial],
        running: Sequence[FrozenTrial],
        numbers: Sequence[int],
        ranks: Mapping[int, int] | None = None,
    ) -> BayesianBatch:
        """A batch to draw the trials of these numbers, in this order, by what is known now; see `TpeSampler.batch`."""
        self.history.read(observed)
        if ranks is not None:
            self.history.rank(ranks)
        return BayesianBatch(self, [self.history.point(trial) for trial in running], numbers)

    def fitted(self) -> tuple[NDArray[np.intp], GaussianProcess]:
        """The observed trials that the process sees, as indices, the best first, and the process."""
        chosen = _chosen(self.history.order(), MOST)
        features = self.features(self.scaled(self.history.params[chosen]))
        scores = normal_scores(self.history.ranks[chosen])
        fitted = np.unique(np.linspace(0, len(chosen) - 1, min(FITTED, len(chosen))).astype(np.intp))
        return chosen, GaussianProcess(features, scores, self.owner, fitted)

    def scaled(self, points: Floats) -> Floats:
        """Points of Optuna's internal values on scales from -1/2 to 1/2; categories stay as they are."""
        found = points.copy()
        for axis in self.domain.axes:
            found[:, axis.column] = axis.scaled(points[:, axis.column])
        return found

    def features(self, scaled: Floats) -> Floats:
        """[points, features]"""
        columns: list[Floats] = []
        sizes = dict(self.domain.categories)
        for index in range(len(self.names)):
            column = scaled[:, index]
            if index in sizes:
                columns += [np.where(column == category, APART, 0.0) for category in range(sizes[index])]
            else:
                columns.append(np.nan_to_num(column, nan=0.0))
        return np.stack(columns, axis=1)

    def candidates(self, number: int, best: Floats) -> Floats:
        """Scaled points for one trial, each with a value of every parameter. `best`: scaled points of the best
        trials."""
        random = np.random.default_rng(tpe_seed(self.seed, number, 0))
        sizes = dict(self.domain.categories)
        found = random.random((CANDIDATES, len(self.names))) - 0.5
        near = best[random.integers(len(best), size=CANDIDATES // 2)]
        half = slice(CANDIDATES // 2, None)
        for index in range(len(self.names)):
            if index in sizes:
                found[:, index] = random.integers(sizes[index], size=CANDIDATES)
                kept = random.random(len(near)) >= CHANGED
                moved = near[:, index]
            else:
                kept = np.ones(len(near), dtype=bool)
                step = random.normal(0.0, np.where(random.random(len(near)) < MOVED, FAR, NEAR))
                moved = np.clip(near[:, index] + step, -0.5, 0.5)
            found[half, index] = np.where(kept & ~np.isnan(moved), moved, found[half, index])
        for axis in self.domain.stepped:  # what would be rounded later would not be what was judged
            found[:, axis.column] = axis.scaled(axis.value(found[:, axis.column]))
        return found

    def active(self, scaled: Floats) -> Floats:
        """The points with NaN for parameters that they do not have, by what the others are."""
        active = np.ones(scaled.shape, dtype=bool)
        for index, conditions in enumerate(self.conditions):
            for path, labels in conditions:
                if path in self.names:
                    other = self.names.index(path)
                    choices: Any = self.space[path]
                    wanted = [place for place, choice in enumerate(choices.choices) if choice in labels]
                    active[:, index] &= active[:, other] & np.isin(scaled[:, other], wanted)
        return np.where(active, scaled, np.nan)

    def values(self, scaled: Floats) -> dict[str, Any]:
        """All parameters of one candidate, by name."""
        internal = scaled.copy()
        for axis in self.domain.axes:
            internal[axis.column] = axis.value(scaled[axis.column])
        return {
            name: distribution.to_external_repr(value)
            for (name, distribution), value in zip(self.space.items(), internal.tolist(), strict=True)
        }


class BayesianBatch:
    """Draws for some trials. The process is fitted when the first trial asks for one of its parameters."""

    def __init__(self, sampler: BayesianSampler, running: Sequence[Sequence[float]], numbers: Sequence[int]) -> None:
        self.sampler = sampler
        self.numbers = list(numbers)
        self.running = [np.array(point) for point in running]
        self._sight: Sight | None = None
        self._points: Floats = np.empty(0)
        self._best = 0.0

    def group(self, number: int, name: str) -> dict[str, Any]:
        """Values of all parameters of a trial, also of those that it does not have."""
        sampler = self.sampler
        if self._sight is None:
            self._sight = self._fit()
        place = self.numbers.index(number) * CANDIDATES
        own = slice(place, place + CANDIDATES)
        gain = expected_improvement(self._sight.mean[own], self._sight.deviations(own), self._best)
        return sampler.values(self._points[own][int(np.argmax(gain))])

    def drawn(self, params: Mapping[str, Any]) -> None:
        """Take a drawn trial as observed, so that later trials of the batch keep away from it."""
        space = self.sampler.space
        point = [d.to_internal_repr(params[name]) if name in params else np.nan for name, d in space.items()]
        self.running.append(np.array(point))
        if self._sight is not None:
            self._pretend(self._sight, self.running[-1:])

    def _fit(self) -> Sight:
        sampler = self.sampler
        chosen, process = sampler.fitted()
        points = sampler.scaled(sampler.history.params[chosen])
        self._best = float(process.seen.max())
        best = points[: max(5, len(points) // 10)]
        self._points = np.concatenate([sampler.candidates(number, best) for number in self.numbers])
        sight = process.sight(sampler.features(sampler.active(self._points)))
        self._pretend(sight, self.running)
        return sight

    def _pretend(self, sight: Sight, points: Sequence[Floats]) -> None:
        if points:
            sight.pretend(self.sampler.features(self.sampler.scaled(np.stack(points))))


def _chosen(order: NDArray[np.intp], most: int) -> NDArray[np.intp]:
    """Of trials in this order, the best first: at most so many, the best half and the newest others, in the order."""
    if len(order) <= most:
        return order
    rest = order[most // 2 :]
    newest = np.sort(rest)[-(most - most // 2) :]
    return np.concatenate((order[: most // 2], rest[np.isin(rest, newest)]))


def normal_scores(ranks: Floats) -> Floats:
    """What the places of trials would be worth on a normal scale, of mean 0 and variance 1. `ranks`: [n, keys], sorted,
    the best first; trials of equal ranks share the mean of their places. [n]"""
    scores: Floats = -ndtri((np.arange(len(ranks)) + 0.5) / len(ranks))
    begins = np.concatenate(([True], (ranks[1:] != ranks[:-1]).any(axis=1)))
    group = np.cumsum(begins) - 1
    shared: Floats = (np.bincount(group, scores) / np.bincount(group))[group]
    return shared / (shared.std() or 1.0)


def expected_improvement(mean: Floats, deviation: Floats, best: float) -> Floats:
    """How much better than `best` a value is on average, counting none that is worse. Higher is better."""
    z = (mean - best) / deviation
    gain: Floats = deviation * (z * ndtr(z) + np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))
    return gain
