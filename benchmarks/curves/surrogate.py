"""What any configuration of a task would have scored after each epoch, predicted from the task's table.

The curve of a configuration is the prediction of randomised trees (Geurts et al. 2006), plus noise: what one of the
five nearest configurations of the table scored above its mean with one of its seeds. So the noise is that of real
trainings, and two trainings of one configuration differ. The leaves of the trees hold several configurations: a mean of
three seeds is itself noisy, and no search could find what is best by luck alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor

from benchmarks.curves import EPOCHS, Task, load
from hpo import space
from hpo.studyfile.file import parse_study

LEAF = 3
"""Configurations in a leaf, at least."""
NEAREST = 5
"""Configurations of the table whose noise one may have."""
SAMPLED = 2_000
"""Random configurations that say what the median and the best known value are."""


class Curves:
    """A task. Values are such that more is better."""

    def __init__(self, task: Task) -> None:
        spec = parse_study(task.text("trials = 1", name=task.name), "curves.toml")
        self.task = task
        self.sign = -1.0 if spec.study.minimized else 1.0
        self.parameters = {one.name: one.distribution for one in space.parameters(spec)}
        configurations, values = load(task.name)
        values = self._without_gaps(self.sign * values)
        self.mean = values.mean(axis=1)
        # A mean of n values is nearer to them than the true one.
        self.noise = (values - self.mean[:, None]) * math.sqrt(values.shape[1] / (values.shape[1] - 1))
        self.table = self._encoded(configurations)
        self.trees = ExtraTreesRegressor(n_estimators=100, min_samples_leaf=LEAF, bootstrap=True, random_state=0).fit(
            self.table, self.mean
        )
        rng = np.random.default_rng(0)
        drawn = self._encoded([self.random(rng) for _ in range(SAMPLED)])
        found = self._predicted(drawn).max(axis=1)
        self.median = float(np.median(found))
        self.best = float(found.max())

    def random(self, rng: np.random.Generator) -> dict[str, Any]:
        """A configuration, each parameter drawn evenly."""
        drawn: dict[str, Any] = {}
        for name, one in self.parameters.items():
            if hasattr(one, "choices"):
                drawn[name] = one.choices[rng.integers(len(one.choices))]
            elif one.log:
                drawn[name] = float(math.exp(rng.uniform(math.log(one.low), math.log(one.high))))
            else:
                drawn[name] = float(rng.uniform(one.low, one.high))
        return drawn

    def curve(self, params: Mapping[str, Any], seed: int) -> np.ndarray:
        """The objective after each epoch of a training with this seed."""
        row = self._encoded([params])
        nearest = np.abs(self.table - row).sum(axis=1).argsort(kind="stable")[:NEAREST]
        drawn = np.random.default_rng([seed, *row.tobytes()])
        noise = self.noise[drawn.choice(nearest), drawn.integers(self.noise.shape[1])]
        found: np.ndarray = self._predicted(row)[0] + noise
        return found

    def regrets(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Of what a training of each scores on average, the best value of the mean curve. 0: as good as the best known
        configuration; 1: as the median random one."""
        truths = self._predicted(self._encoded(configurations)).max(axis=1)
        found: np.ndarray = (self.best - truths) / (self.best - self.median)
        return found

    def _predicted(self, rows: np.ndarray) -> np.ndarray:
        """Shape (configurations, epochs)."""
        return np.mean([tree.tree_.predict(rows)[:, :, 0] for tree in self.trees.estimators_], axis=0)

    def _encoded(self, configurations: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Shape (configurations, features): ranges from 0 to 1, a column for each choice, 0 or 2."""
        columns = []
        for name, one in self.parameters.items():
            given = [params[name] for params in configurations]
            if hasattr(one, "choices"):
                columns += [[2.0 * (value == choice) for value in given] for choice in one.choices]
            else:
                scale = math.log if one.log else float
                low, high = scale(one.low), scale(one.high)
                columns.append([(scale(value) - low) / (high - low) for value in given])
        return np.array(columns, dtype=np.float32).T

    @staticmethod
    def _without_gaps(values: np.ndarray) -> np.ndarray:
        """What diverged is as bad as the worst twentieth that did not, and nothing is worse: a few huge losses would
        be all that trees see."""
        worst = np.nanpercentile(values, 5)
        filled: np.ndarray = np.maximum(np.where(np.isnan(values), worst, values), worst)
        assert filled.shape[2] == EPOCHS
        return filled
